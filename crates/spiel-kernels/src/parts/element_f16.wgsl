// enable: f16
// Dense weights in f16.
alias Element = f16;

// The nearest half, ties to even: WGSL leaves to the adapter which neighbour a conversion takes, so nothing is left to
// round but what has no normal half. Beyond the largest half is the largest; what is not finite stays so, to be seen.
fn to_element(x: f32) -> Element {
  let bits = bitcast<u32>(x);
  if ((bits & 0x7F800000u) == 0x7F800000u) {
    return f16(x);
  }
  let nearest = bitcast<f32>((bits + 0xFFFu + ((bits >> 13u) & 1u)) & 0xFFFFE000u);
  // A half below the smallest normal one has fewer bits: it is rounded once, from x.
  return f16(select(clamp(nearest, -65504.0, 65504.0), x, abs(x) < 0x1p-14));
}
