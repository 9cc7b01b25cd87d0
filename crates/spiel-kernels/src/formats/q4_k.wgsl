// uses: part_scales
// Q4_K: sixteen bytes of scales and minima, then 128 of codes; element = code * scale - minimum. The low nibbles of 32
// bytes hold one part and the high ones the next.
fn decode8(index: u32) -> array<f32, 8> {
  let block = index / 256u * 36u;
  let place = index % 256u;
  let scale = part_scale(block, place / 32u);
  let shift = 4u * (place / 32u % 2u);
  var out: array<f32, 8>;
  for (var word = 0u; word < 2u; word++) {
    let codes = stored[block + 4u + 8u * (place / 64u) + place % 32u / 4u + word] >> shift;
    for (var i = 0u; i < 4u; i++) {
      out[4u * word + i] = f32((codes >> (8u * i)) & 15u) * scale.x - scale.y;
    }
  }
  return out;
}
