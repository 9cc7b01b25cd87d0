// uses: elements
// x *= factor.
struct Params { count: u32, factor: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;

fn element(i: u32) {
  x[i] *= params.factor;
}
