// The curve of silu, act(x) = x · sigmoid(x), and its slope.
fn curve(x: f32) -> f32 {
  return x;
}

fn slope(x: f32) -> f32 {
  return 1.0;
}
