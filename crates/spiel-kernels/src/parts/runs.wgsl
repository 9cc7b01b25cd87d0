// Runs of entries, one for every workgroup of 256 invocations, each of which has a stretch of 32 in the end. A run's
// counts say where its results go: of entries that have a result for certain, and of those that tie.
var<workgroup> run_counts: array<vec2<u32>, 256>;

// The counts of a run's entries up to the end of this invocation's; the last invocation has the whole run's.
fn counts_until(local: u32, counts: vec2<u32>) -> vec2<u32> {
  run_counts[local] = counts;
  workgroupBarrier();
  for (var step = 1u; step < 256u; step *= 2u) {
    var more = vec2<u32>();
    if (local >= step) {
      more = run_counts[local - step];
    }
    workgroupBarrier();
    run_counts[local] += more;
    workgroupBarrier();
  }
  return run_counts[local];
}
