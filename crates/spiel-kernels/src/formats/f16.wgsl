// F16: two halves per word.
@group(0) @binding(1) var<storage, read> stored: array<u32>;

fn decode8(index: u32) -> array<f32, 8> {
  var out: array<f32, 8>;
  for (var i = 0u; i < 8u; i++) {
    out[i] = unpack2x16float(stored[(index + i) / 2u])[(index + i) % 2u];
  }
  return out;
}
