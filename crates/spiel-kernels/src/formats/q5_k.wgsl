// uses: part_scales
// Q5_K: Q4_K with 32 bytes of fifth bits before the codes, of which a byte holds those of one place in all eight parts.
fn decode8(index: u32) -> array<f32, 8> {
  let block = index / 256u * 44u;
  let place = index % 256u;
  let part = place / 32u;
  let scale = part_scale(block, part);
  var out: array<f32, 8>;
  for (var word = 0u; word < 2u; word++) {
    let at = place % 32u / 4u + word;
    let fifth = stored[block + 4u + at] >> part;
    let codes = stored[block + 12u + 8u * (place / 64u) + at] >> (4u * (part % 2u));
    for (var i = 0u; i < 4u; i++) {
      let code = ((codes >> (8u * i)) & 15u) | (((fifth >> (8u * i)) & 1u) << 4u);
      out[4u * word + i] = f32(code) * scale.x - scale.y;
    }
  }
  return out;
}
