// uses: grid $activation
// out = act(gate) · up.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gate: array<f32>; // [T, F]
@group(0) @binding(2) var<storage, read> up: array<f32>; // [T, F]
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // [T, F]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = grid_index(group, groups) * 256u + local;
  if (i < params.count) {
    out[i] = gate[i] / (1.0 + exp(-curve(gate[i]))) * up[i];
  }
}
