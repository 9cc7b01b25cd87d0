// uses: grid keys runs selection
// Writes the indices of the chosen keys, ascending; of equal keys the lower indices are taken.
struct Params { count: u32, first: u32 } // keys, and the index of the first
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> selection: Selection;
@group(0) @binding(3) var<storage, read> runs: array<vec2<u32>>; // per run: its place, equal keys of earlier runs
@group(0) @binding(4) var<storage, read_write> chosen: array<u32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let run = grid_index(group, groups);
  let at = run * 256u + local;
  var counts = vec2<u32>();
  if (at < params.count) {
    let key = key_of(keys[at]);
    counts = vec2<u32>(u32(key > selection.threshold), u32(key == selection.threshold));
  }
  let before = counts_until(local, counts) - counts;
  if (at >= params.count) {
    return;
  }
  let start = runs[run];
  let is_taken = counts.y == 1u && start.y + before.y < selection.wanted;
  if (counts.x == 1u || is_taken) {
    let taken_here = min(before.y, selection.wanted - min(selection.wanted, start.y));
    chosen[start.x + before.x + taken_here] = params.first + at;
  }
}
