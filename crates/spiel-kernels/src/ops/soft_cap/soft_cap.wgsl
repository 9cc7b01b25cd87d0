// uses: elements soft_cap
// x = cap · tanh(x / cap).
struct Params { count: u32, cap: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;

fn element(i: u32) {
  x[i] = soft_cap(x[i], params.cap);
}
