// uses: selection
// Turns the counts of all runs into where each run's keys go, in their order: x is the place, y the equal keys that
// earlier runs have. One workgroup: an invocation sums a stretch of runs, and then places it.
struct Params { runs: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> selection: Selection;
@group(0) @binding(2) var<storage, read_write> runs: array<vec2<u32>>;

var<workgroup> stretches: array<vec2<u32>, 256>; // above, equal

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
  let length = (params.runs + 255u) / 256u;
  let first = min(local * length, params.runs);
  let end = min(first + length, params.runs);
  var sum = vec2<u32>(0u);
  for (var run = first; run < end; run++) {
    sum += runs[run];
  }
  stretches[local] = sum;
  workgroupBarrier();
  var before = vec2<u32>(0u);
  for (var i = 0u; i < local; i++) {
    before += stretches[i];
  }
  for (var run = first; run < end; run++) {
    let counts = runs[run];
    // Of the keys before, those above are all taken, and equal ones until they are enough.
    runs[run] = vec2<u32>(before.x + min(before.y, selection.wanted), before.y);
    before += counts;
  }
}
