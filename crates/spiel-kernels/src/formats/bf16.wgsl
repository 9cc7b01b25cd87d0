// BF16: the upper halves of two f32 per word.
@group(0) @binding(1) var<storage, read> stored: array<u32>;

fn decode8(index: u32) -> array<f32, 8> {
  var out: array<f32, 8>;
  for (var i = 0u; i < 8u; i++) {
    let half = (stored[(index + i) / 2u] >> (16u * ((index + i) % 2u))) & 0xFFFFu;
    out[i] = bitcast<f32>(half << 16u);
  }
  return out;
}
