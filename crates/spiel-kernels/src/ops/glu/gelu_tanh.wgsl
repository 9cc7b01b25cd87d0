// The curve of GELU's tanh approximation, whose (1 + tanh(u)) / 2 is sigmoid(2u), and its slope.
const TWICE_ROOT: f32 = 1.5957691; // 2 sqrt(2 / pi)
const CUBIC: f32 = 0.044715;

// No lower than where the sigmoid is nothing, as the exponential of what is lower is no number of f32.
fn curve(x: f32) -> f32 {
  return max(TWICE_ROOT * x * (1.0 + CUBIC * x * x), -80.0);
}

fn slope(x: f32) -> f32 {
  return TWICE_ROOT * (1.0 + 3.0 * CUBIC * x * x);
}
