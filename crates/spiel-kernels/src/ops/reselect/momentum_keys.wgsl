// uses: elements
// Ranks every position by the product of its accumulators; one is added so that an inactive product of zero ranks above
// an active position, which is out.
struct Params { count: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<f32>; // [out]
@group(0) @binding(2) var<storage, read> columns: array<f32>; // [in]
@group(0) @binding(3) var<storage, read_write> keys: array<u32>; // [out, in]

fn element(i: u32) {
  let product = rows[i / params.width] * columns[i % params.width];
  keys[i] = (bitcast<u32>(product) & 0x7FFFFFFFu) + 1u;
}
