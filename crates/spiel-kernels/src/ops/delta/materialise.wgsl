// uses: grid $weight $element $store
// Decodes a stored matrix: an invocation decodes eight weights, whole words in any type.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let first = (grid_index(group, groups) * 256u + local) * 8u;
  if (first < params.count) {
    store8(first, decode8(first));
  }
}
