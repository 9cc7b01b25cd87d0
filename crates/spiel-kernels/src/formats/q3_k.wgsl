// uses: blocks
// Q3_K: 32 bytes of third bits, 64 of low bits, twelve that pack the six-bit scales of sixteen parts, and a half d;
// element = (code - 4) * ((scale - 32) * d). Every two low bits of 32 bytes hold the next 32 elements, and so does
// every third bit of 32 bytes.
fn decode8(index: u32) -> array<f32, 8> {
  let block = index / 256u * 110u;
  let place = index % 256u;
  let part = place / 16u;
  let run = place / 32u;
  let low = stored_u8(block + 96u + part % 8u) >> (4u * (part / 8u));
  let high = stored_u8(block + 104u + part % 4u) >> (2u * (part / 4u));
  let scale = (f32((low & 15u) | ((high & 3u) << 4u)) - 32.0) * stored_half(block + 108u);
  var out: array<f32, 8>;
  for (var word = 0u; word < 2u; word++) {
    let byte = place % 32u + 4u * word;
    let codes = stored_u32(block + 32u + 32u * (place / 128u) + byte) >> (2u * (run % 4u));
    let third = stored_u32(block + byte) >> run;
    for (var i = 0u; i < 4u; i++) {
      let code = ((codes >> (8u * i)) & 3u) | (((third >> (8u * i)) & 1u) << 2u);
      out[4u * word + i] = (f32(code) - 4.0) * scale;
    }
  }
  return out;
}
