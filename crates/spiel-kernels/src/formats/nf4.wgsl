// NF4: the largest magnitude of 64 elements, then 64 codes; element = level * magnitude. The earlier element of a byte
// is in its high nibble.
@group(0) @binding(1) var<storage, read> stored: array<u32>;

const LEVELS = array<f32, 16>(
  -1.0, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.091050036, 0.0,
  0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0,
);

fn decode8(index: u32) -> array<f32, 8> {
  let block = index / 64u * 9u;
  let magnitude = bitcast<f32>(stored[block]);
  let codes = stored[block + 1u + index % 64u / 8u];
  var levels = LEVELS;
  var out: array<f32, 8>;
  for (var i = 0u; i < 4u; i++) {
    let pair = codes >> (8u * i);
    out[2u * i] = levels[(pair >> 4u) & 15u] * magnitude;
    out[2u * i + 1u] = levels[pair & 15u] * magnitude;
  }
  return out;
}
