// uses: grid
// Adds a micro-batch's gradients at the candidates, and their squares.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sample: array<f32>; // [k]
@group(0) @binding(2) var<storage, read_write> grads: array<f32>; // [k]
@group(0) @binding(3) var<storage, read_write> grads_sq: array<f32>; // [k]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = grid_index(group, groups) * 256u + local;
  if (i < params.count) {
    grads[i] += sample[i];
    grads_sq[i] += sample[i] * sample[i];
  }
}
