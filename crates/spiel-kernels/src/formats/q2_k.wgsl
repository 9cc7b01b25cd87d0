// Q2_K: sixteen bytes with the scale (low) and the minimum (high) of a part, 64 bytes of codes, two halves d and m;
// element = code * (scale * d) - minimum * m. Every two bits of 32 bytes of codes hold the next 32 elements.
@group(0) @binding(1) var<storage, read> stored: array<u32>;

fn decode8(index: u32) -> array<f32, 8> {
  let block = index / 256u * 21u;
  let place = index % 256u;
  let part = (stored[block + place / 64u] >> (8u * (place / 16u % 4u))) & 255u;
  let halves = unpack2x16float(stored[block + 20u]);
  let scale = f32(part & 15u) * halves.x;
  let minimum = f32(part >> 4u) * halves.y;
  let shift = 2u * (place / 32u % 4u);
  var out: array<f32, 8>;
  for (var word = 0u; word < 2u; word++) {
    let codes = stored[block + 4u + 8u * (place / 128u) + place % 32u / 4u + word] >> shift;
    for (var i = 0u; i < 4u; i++) {
      out[4u * word + i] = f32((codes >> (8u * i)) & 3u) * scale - minimum;
    }
  }
  return out;
}
