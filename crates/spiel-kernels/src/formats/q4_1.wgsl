// uses: blocks
// Q4_1: a half scale and a half minimum, then 32 codes; element = code * scale + minimum.
fn decode8(index: u32) -> array<f32, 8> {
  let block = index / 32u * 20u;
  let place = index % 32u;
  let scale = stored_half(block);
  let minimum = stored_half(block + 2u);
  let shift = 4u * (place / 16u);
  var out: array<f32, 8>;
  for (var word = 0u; word < 2u; word++) {
    let codes = stored_u32(block + 4u + place % 16u + 4u * word) >> shift;
    for (var i = 0u; i < 4u; i++) {
      out[4u * word + i] = f32((codes >> (8u * i)) & 15u) * scale + minimum;
    }
  }
  return out;
}
