// All values have one age.
fn corrections_of(i: u32) -> vec2<f32> {
  return vec2<f32>(params.correction1, params.correction2);
}
