// uses: clip elements
// Every delta's estimate, from the accumulators as they are, and its update.
struct Params { count: u32, width: u32, learning_rate: f32, decay: f32, epsilon: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>; // [k]
@group(0) @binding(2) var<storage, read> grads: array<f32>; // [k]
@group(0) @binding(3) var<storage, read> rows: array<f32>; // [out]
@group(0) @binding(4) var<storage, read> columns: array<f32>; // [in]
@group(0) @binding(5) var<storage, read_write> values: array<f32>; // [k]
@group(0) @binding(6) var<storage, read_write> estimates: array<f32>; // [k]
@group(0) @binding(7) var<storage, read> clip: Clip;

fn element(i: u32) {
  if (is_skipped(clip)) {
    return;
  }
  let grad = grads[i] * clip.factor;
  let row = rows[indices[i] / params.width];
  let estimate = min(row, columns[indices[i] % params.width]) + grad * grad;
  estimates[i] = estimate;
  let stepped = values[i] - params.learning_rate * (grad / sqrt(estimate + params.epsilon));
  values[i] = stepped - params.decay * stepped;
}
