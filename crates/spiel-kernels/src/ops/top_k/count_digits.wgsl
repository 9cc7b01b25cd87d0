// uses: grid keys selection
// One pass of the selection: counts a digit of the keys that tie with the threshold in the digits found so far.
struct Params { count: u32, shift: u32, decided: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> selection: Selection;
@group(0) @binding(3) var<storage, read_write> digits: array<atomic<u32>>; // [2048]

var<workgroup> counts: array<atomic<u32>, 2048>; // 0 at first, as all workgroup memory

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let first = grid_index(group, groups) * 4096u;
  for (var i = 0u; i < 16u; i++) {
    let at = first + i * 256u + local;
    if (at < params.count) {
      let key = key_of(keys[at]);
      if ((key & params.decided) == selection.threshold) {
        atomicAdd(&counts[(key >> params.shift) & 2047u], 1u);
      }
    }
  }
  workgroupBarrier();
  for (var i = local; i < 2048u; i += 256u) {
    let count = atomicLoad(&counts[i]);
    if (count > 0u) {
      atomicAdd(&digits[i], count);
    }
  }
}
