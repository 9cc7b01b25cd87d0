// Turns the counts of all runs into where each run's keys go, in their order: x is the place, y the equal keys that
// earlier runs have taken. One invocation.
struct Selection { threshold: u32, wanted: u32, chosen: u32, pad: u32 }
struct Params { runs: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> selection: Selection;
@group(0) @binding(2) var<storage, read_write> runs: array<vec2<u32>>;

@compute @workgroup_size(1)
fn main() {
  var place = 0u;
  var equal = 0u;
  for (var run = 0u; run < params.runs; run++) {
    let counts = runs[run];
    runs[run] = vec2<u32>(place, equal);
    let taken = min(selection.wanted - min(selection.wanted, equal), counts.y);
    place += counts.x + taken;
    equal += counts.y;
  }
}
