// uses: grid $weight $element
// Decodes a stored matrix: an invocation decodes eight weights, whole words in any type.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> weights: array<Element>; // [out, in]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let first = (grid_index(group, groups) * 256u + local) * 8u;
  if (first >= params.count) {
    return;
  }
  var values = decode8(first);
  for (var i = 0u; i < min(8u, params.count - first); i++) {
    weights[first + i] = to_element(values[i]);
  }
}
