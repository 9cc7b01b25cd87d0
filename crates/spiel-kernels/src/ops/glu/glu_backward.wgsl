// uses: elements $activation
// The gradients in gate and up.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gate: array<f32>; // [T, F]
@group(0) @binding(2) var<storage, read> up: array<f32>; // [T, F]
@group(0) @binding(3) var<storage, read> grad: array<f32>; // [T, F]
@group(0) @binding(4) var<storage, read_write> grad_gate: array<f32>; // [T, F]
@group(0) @binding(5) var<storage, read_write> grad_up: array<f32>; // [T, F]

fn element(i: u32) {
  let s = 1.0 / (1.0 + exp(-curve(gate[i])));
  grad_up[i] = grad[i] * gate[i] * s;
  grad_gate[i] = grad[i] * up[i] * s * (1.0 + gate[i] * slope(gate[i]) * (1.0 - s));
}
