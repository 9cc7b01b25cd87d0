// uses: blocks
// Q4_0: a half scale, then 32 codes; element = (code - 8) * scale. The low nibbles hold the first 16.
fn decode8(index: u32) -> array<f32, 8> {
  let block = index / 32u * 18u;
  let place = index % 32u;
  let scale = stored_half(block);
  let shift = 4u * (place / 16u);
  var out: array<f32, 8>;
  for (var word = 0u; word < 2u; word++) {
    let codes = stored_u32(block + 2u + place % 16u + 4u * word) >> shift;
    for (var i = 0u; i < 4u; i++) {
      out[4u * word + i] = (f32((codes >> (8u * i)) & 15u) - 8.0) * scale;
    }
  }
  return out;
}
