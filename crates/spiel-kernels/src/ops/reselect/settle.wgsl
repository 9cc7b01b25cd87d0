// uses: grid selection
// A chosen candidate that is active is on both lists: it stays, and leaves the drop list. The others are grown.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> chosen: array<u32>; // numbers of candidates
@group(0) @binding(2) var<storage, read> selection: Selection;
@group(0) @binding(3) var<storage, read> slots: array<u32>; // [k]
@group(0) @binding(4) var<storage, read_write> dropped: array<u32>; // [k]
@group(0) @binding(5) var<storage, read_write> grown: array<u32>; // [k]: 1 for candidates that are grown
@group(0) @binding(6) var<storage, read_write> counts: array<atomic<u32>>; // [2]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = grid_index(group, groups) * 256u + local;
  if (i >= selection.chosen) {
    return;
  }
  let slot = slots[chosen[i]];
  if (slot < params.count) {
    dropped[slot] = 0u;
  } else {
    grown[chosen[i]] = 1u;
    atomicAdd(&counts[1], 1u);
  }
}
