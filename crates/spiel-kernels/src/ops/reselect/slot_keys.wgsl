// uses: elements
// Ranks slots by the smallest magnitude. With MASKED only slots on the drop list take part.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>; // [k]
@group(0) @binding(2) var<storage, read> dropped: array<u32>; // [k]: 1 on the drop list
@group(0) @binding(3) var<storage, read_write> keys: array<u32>; // [k]

fn element(i: u32) {
  let key = ~(bitcast<u32>(values[i]) & 0x7FFFFFFFu);
  keys[i] = select(0u, key, !MASKED || dropped[i] == 1u);
}
