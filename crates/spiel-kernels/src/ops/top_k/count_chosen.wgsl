// uses: grid keys runs selection
// How many keys of every run are above the threshold, and how many equal it.
struct Params { count: u32, first: u32 } // keys, and the index of the first
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> selection: Selection;
@group(0) @binding(3) var<storage, read_write> runs: array<vec2<u32>>; // per run of all keys: above, equal

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let run = grid_index(group, groups);
  let start = run * 8192u;
  var counts = vec2<u32>();
  for (var i = local; i < 8192u; i += 256u) {
    if (start + i < params.count) {
      let key = key_of(keys[start + i]);
      counts += vec2<u32>(u32(key > selection.threshold), u32(key == selection.threshold));
    }
  }
  let sums = counts_until(local, counts);
  if (local == 255u && start < params.count) {
    runs[params.first / 8192u + run] = sums;
  }
}
