// uses: grid select
// Writes the indices of the chosen keys, ascending; of equal keys the lower indices are taken.
struct Params { count: u32, first: u32 } // keys, and the index of the first
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> selection: Selection;
@group(0) @binding(3) var<storage, read> runs: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> chosen: array<u32>;

var<workgroup> above: array<u32, 256>;
var<workgroup> equal: array<u32, 256>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let run = grid_index(group, groups);
  let at = run * 256u + local;
  var key = 0u;
  if (at < params.count) {
    key = key_of(keys[at]);
  }
  let is_above = key > selection.threshold;
  let is_equal = key == selection.threshold && at < params.count;
  above[local] = u32(is_above);
  equal[local] = u32(is_equal);
  workgroupBarrier();
  // Inclusive prefix sums.
  for (var step = 1u; step < 256u; step *= 2u) {
    var more_above = 0u;
    var more_equal = 0u;
    if (local >= step) {
      more_above = above[local - step];
      more_equal = equal[local - step];
    }
    workgroupBarrier();
    above[local] += more_above;
    equal[local] += more_equal;
    workgroupBarrier();
  }
  if (run * 256u >= params.count) {
    return;
  }
  let start = runs[run];
  let equal_before = start.y + equal[local] - u32(is_equal);
  let taken_here = min(equal[local], selection.wanted - min(selection.wanted, start.y));
  if (is_above) {
    chosen[start.x + above[local] - 1u + taken_here] = params.first + at;
  } else if (is_equal && equal_before < selection.wanted) {
    chosen[start.x + above[local] + taken_here - 1u] = params.first + at;
  }
}
