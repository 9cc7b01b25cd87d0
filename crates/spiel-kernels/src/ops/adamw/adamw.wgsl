// uses: clip elements $rule
// AdamW: the moments here, the new value in the part: of a weight, whose age is that of all, or of a delta with its own.
struct Params {
  count: u32,
  learning_rate: f32, decay: f32,
  beta1: f32, beta2: f32, rest1: f32, rest2: f32, // rest = 1 - beta, rounded once
  epsilon: f32,
  correction1: f32, correction2: f32,
  log2_beta1: f32, log2_beta2: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grads: array<f32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> exp_avg: array<f32>;
@group(0) @binding(4) var<storage, read_write> exp_avg_sq: array<f32>;
@group(0) @binding(5) var<storage, read> clip: Clip;

// 1 - beta^age without cancellation: for a small exponent by the series of 1 - e^-x.
fn correction(log2_beta: f32, age: f32) -> f32 {
  let x = -log2_beta * age * 0.6931471805599453;
  if (x < 0.05) {
    return x * (1.0 - x * (0.5 - x * (0.16666667 - x * 0.041666667)));
  }
  return 1.0 - exp(-x);
}

fn element(i: u32) {
  if (is_skipped(clip)) {
    return;
  }
  let grad = grads[i] * clip.factor;
  let m = params.beta1 * exp_avg[i] + params.rest1 * grad;
  let v = params.beta2 * exp_avg_sq[i] + params.rest2 * grad * grad;
  exp_avg[i] = m;
  exp_avg_sq[i] = v;
  values[i] = updated(i, values[i], m, v);
}
