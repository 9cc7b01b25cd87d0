// uses: grid reduce select
// How many keys of every run of 256 are above the threshold, and how many equal it.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> selection: Selection;
@group(0) @binding(3) var<storage, read_write> runs: array<vec2<u32>>; // per run: above, equal

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let run = grid_index(group, groups);
  let at = run * 256u + local;
  var above = 0.0;
  var equal = 0.0;
  if (at < params.count) {
    let key = key_of(keys[at]);
    above = select(0.0, 1.0, key > selection.threshold);
    equal = select(0.0, 1.0, key == selection.threshold);
  }
  // Counts up to 256 are exact in f32.
  let total_above = reduce_sum(local, above);
  let total_equal = reduce_sum(local, equal);
  if (local == 0u && run * 256u < params.count) {
    runs[run] = vec2<u32>(u32(total_above), u32(total_equal));
  }
}
