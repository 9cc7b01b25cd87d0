// uses: selection
// Begins a selection of the smaller of `limit` and a count that the device found. One invocation.
struct Params { limit: u32, which: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> selection: Selection;

@compute @workgroup_size(1)
fn main() {
  let wanted = min(params.limit, counts[params.which]);
  selection = Selection(0u, wanted, wanted, 0u);
}
