// uses: blocks
// Q6_K: 128 bytes of low nibbles, 64 of high bits, sixteen signed bytes that scale the parts, and a half d;
// element = (code - 32) * (scale * d). Of 64 bytes, the low nibbles hold 64 elements and the high ones the next; every
// two high bits of 32 bytes hold the next 32.
fn decode8(index: u32) -> array<f32, 8> {
  let block = index / 256u * 210u;
  let place = index % 256u;
  let run = place / 32u % 4u;
  // Shifting up and down again extends the sign.
  let part = bitcast<i32>(stored_u8(block + 192u + place / 16u) << 24u) >> 24u;
  let scale = f32(part) * stored_half(block + 208u);
  var out: array<f32, 8>;
  for (var word = 0u; word < 2u; word++) {
    let byte = 32u * (place / 128u) + place % 32u + 4u * word;
    let low = stored_u32(block + 32u * (place / 128u + run % 2u) + byte) >> (4u * (run / 2u));
    let high = stored_u32(block + 128u + byte) >> (2u * run);
    for (var i = 0u; i < 4u; i++) {
      let code = ((low >> (8u * i)) & 15u) | (((high >> (8u * i)) & 3u) << 4u);
      out[4u * word + i] = (f32(code) - 32.0) * scale;
    }
  }
  return out;
}
