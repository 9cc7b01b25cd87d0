// uses: elements
// Adds a micro-batch's gradients at the candidates, and their squares.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sample: array<f32>; // [k]
@group(0) @binding(2) var<storage, read_write> grads: array<f32>; // [k]
@group(0) @binding(3) var<storage, read_write> grads_sq: array<f32>; // [k]

fn element(i: u32) {
  grads[i] += sample[i];
  grads_sq[i] += sample[i] * sample[i];
}
