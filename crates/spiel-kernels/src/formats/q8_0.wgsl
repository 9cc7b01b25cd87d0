// uses: blocks
// Q8_0: a half scale, then 32 signed codes; element = code * scale.
fn decode8(index: u32) -> array<f32, 8> {
  let block = index / 32u * 34u;
  let scale = stored_half(block);
  var out: array<f32, 8>;
  for (var word = 0u; word < 2u; word++) {
    let codes = stored_u32(block + 2u + index % 32u + 4u * word);
    for (var i = 0u; i < 4u; i++) {
      // Shifting up and down again extends the sign.
      out[4u * word + i] = f32(bitcast<i32>(codes << (24u - 8u * i)) >> 24u) * scale;
    }
  }
  return out;
}
