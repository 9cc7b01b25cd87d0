// Bounds x smoothly: cap · tanh(x / cap). NaN stays NaN, and no exponential that is no number of f32 is taken.
fn soft_cap(x: f32, cap: f32) -> f32 {
  let t = x / cap;
  // The series up to the ninth power where the difference below cancels.
  let square = t * t;
  let series = square * (square * (square * (62.0 / 2835.0) - 17.0 / 315.0) + 2.0 / 15.0);
  let near = t + t * square * (series - 1.0 / 3.0);
  let far = select(1.0 - 2.0 / (1.0 + exp(2.0 * t)), sign(t), abs(t) > 10.0);
  return cap * select(far, near, abs(t) < 0.25);
}
