// F32: one word per weight.
@group(0) @binding(1) var<storage, read> stored: array<u32>;

fn decode8(index: u32) -> array<f32, 8> {
  var out: array<f32, 8>;
  for (var i = 0u; i < 8u; i++) {
    out[i] = bitcast<f32>(stored[index + i]);
  }
  return out;
}
