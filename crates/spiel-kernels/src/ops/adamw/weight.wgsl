// As PyTorch's AdamW: the value decays first, and epsilon is added to the corrected root.
fn updated(i: u32, value: f32, m: f32, v: f32) -> f32 {
  let denominator = sqrt(v) / sqrt(params.correction2) + params.epsilon;
  let decayed = value - params.decay * value;
  return decayed - params.learning_rate * (m / params.correction1 / denominator);
}
