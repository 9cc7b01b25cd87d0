// uses: elements
// Finds every candidate's slot, if it is active, and ranks the candidates that are open: inactive, or on the drop list.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>; // [k], ascending
@group(0) @binding(2) var<storage, read> dropped: array<u32>; // [k]
@group(0) @binding(3) var<storage, read> candidates: array<u32>; // [k]
@group(0) @binding(4) var<storage, read> grads: array<f32>; // [k]
@group(0) @binding(5) var<storage, read_write> slots: array<u32>; // [k]: the slot, or k
@group(0) @binding(6) var<storage, read_write> keys: array<u32>; // [k]
@group(0) @binding(7) var<storage, read_write> counts: array<atomic<u32>>; // [2]: open candidates, grown ones

fn element(i: u32) {
  var low = 0u;
  var high = params.count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (indices[middle] < candidates[i]) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  var slot = params.count;
  if (low < params.count && indices[low] == candidates[i]) {
    slot = low;
  }
  slots[i] = slot;
  let open = slot == params.count || dropped[min(slot, params.count - 1u)] == 1u;
  keys[i] = select(0u, (bitcast<u32>(grads[i]) & 0x7FFFFFFFu) + 1u, open);
  if (open) {
    atomicAdd(&counts[0], 1u);
  }
}
