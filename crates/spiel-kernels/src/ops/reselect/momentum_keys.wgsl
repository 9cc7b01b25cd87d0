// uses: grid
// Ranks every position by the product of its accumulators; one is added so that an inactive product of zero ranks above
// an active position, which is out.
struct Params { count: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<f32>; // [out]
@group(0) @binding(2) var<storage, read> columns: array<f32>; // [in]
@group(0) @binding(3) var<storage, read_write> keys: array<u32>; // [out, in]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = grid_index(group, groups) * 256u + local;
  if (i < params.count) {
    let product = rows[i / params.width] * columns[i % params.width];
    keys[i] = (bitcast<u32>(product) & 0x7FFFFFFFu) + 1u;
  }
}
