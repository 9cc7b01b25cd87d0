// uses: clip elements
// Raises both accumulators to the estimates. Floats that are not negative order as their bits do, so an integer maximum
// serves, and its result does not depend on the order.
struct Params { count: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>; // [k]
@group(0) @binding(2) var<storage, read> estimates: array<f32>; // [k]
@group(0) @binding(3) var<storage, read_write> rows: array<atomic<u32>>; // [out]
@group(0) @binding(4) var<storage, read_write> columns: array<atomic<u32>>; // [in]
@group(0) @binding(5) var<storage, read> clip: Clip;

fn element(i: u32) {
  if (is_skipped(clip)) {
    return;
  }
  let bits = bitcast<u32>(estimates[i]);
  atomicMax(&rows[indices[i] / params.width], bits);
  atomicMax(&columns[indices[i] % params.width], bits);
}
