// uses: elements
// y += bias, row by row.
struct Params { count: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> bias: array<f32>; // [width]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [T, width]

fn element(i: u32) {
  y[i] += bias[i % params.width];
}
