// As the reference's SftAdamW: epsilon is added before the root is corrected, and the updated value decays. Every delta
// has an age of its own, which advances.
@group(0) @binding(6) var<storage, read_write> ages: array<f32>; // [k]

fn updated(i: u32, value: f32, m: f32, v: f32) -> f32 {
  let age = ages[i];
  ages[i] = age + 1.0;
  let first = correction(params.log2_beta1, age);
  let second = correction(params.log2_beta2, age);
  let denominator = (sqrt(v) + params.epsilon) * first / sqrt(second);
  let stepped = value - params.learning_rate * (m / denominator);
  return stepped - params.decay * stepped;
}
