// Q5_1: a half scale and a half minimum, 32 fifth bits, then 32 nibbles; element = code * scale + minimum.
@group(0) @binding(1) var<storage, read> stored: array<u32>;

fn decode8(index: u32) -> array<f32, 8> {
  let block = index / 32u * 6u;
  let place = index % 32u;
  let scale = unpack2x16float(stored[block]); // and the minimum
  let fifth = stored[block + 1u] >> place;
  let shift = 4u * (place / 16u);
  var out: array<f32, 8>;
  for (var word = 0u; word < 2u; word++) {
    let codes = stored[block + 2u + place % 16u / 4u + word] >> shift;
    for (var i = 0u; i < 4u; i++) {
      let code = ((codes >> (8u * i)) & 15u) | (((fifth >> (4u * word + i)) & 1u) << 4u);
      out[4u * word + i] = f32(code) * scale.x + scale.y;
    }
  }
  return out;
}
