// The scales and minima of a Q4_K or Q5_K block, which begins with two halves and twelve bytes of six-bit integers.
@group(0) @binding(1) var<storage, read> stored: array<u32>;

// Scale and minimum of one of the eight parts of the block that begins at this word.
fn part_scale(block: u32, part: u32) -> vec2<f32> {
  let shift = 8u * (part % 4u);
  let scales = stored[block + 1u] >> shift;
  let minima = stored[block + 2u] >> shift;
  let low = stored[block + 3u] >> shift;
  let late = vec2(
    (low & 15u) | ((scales >> 2u) & 48u),
    ((low >> 4u) & 15u) | ((minima >> 2u) & 48u),
  );
  let packed = select(late, vec2(scales & 63u, minima & 63u), part < 4u);
  return vec2<f32>(packed) * unpack2x16float(stored[block]);
}
