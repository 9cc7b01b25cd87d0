// uses: blocks
// Q5_0: a half scale, 32 fifth bits, then 32 nibbles; element = (code - 16) * scale. The low nibbles hold the first 16.
fn decode8(index: u32) -> array<f32, 8> {
  let block = index / 32u * 22u;
  let place = index % 32u;
  let scale = stored_half(block);
  let fifth = stored_u32(block + 2u) >> place;
  let shift = 4u * (place / 16u);
  var out: array<f32, 8>;
  for (var word = 0u; word < 2u; word++) {
    let codes = stored_u32(block + 6u + place % 16u + 4u * word) >> shift;
    for (var i = 0u; i < 4u; i++) {
      let code = ((codes >> (8u * i)) & 15u) | (((fifth >> (4u * word + i)) & 1u) << 4u);
      out[4u * word + i] = (f32(code) - 16.0) * scale;
    }
  }
  return out;
}
