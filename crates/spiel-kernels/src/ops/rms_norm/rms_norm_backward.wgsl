// uses: grid reduce
// With n = x / rms and w = weight + offset: grad_x = (w·g - n · mean(w·g·n)) / rms. A workgroup owns a row, and keeps 1 / rms for the weight's
// gradient.
struct Params { rows: u32, width: u32, epsilon: f32, offset: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, width]
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [width]
@group(0) @binding(3) var<storage, read> grad_y: array<f32>; // [rows, width]
@group(0) @binding(4) var<storage, read_write> grad_x: array<f32>; // [rows, width]
@group(0) @binding(5) var<storage, read_write> inverses: array<f32>; // [rows]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = grid_index(group, groups);
  if (row >= params.rows) {
    return;
  }
  let first = row * params.width;
  var squares = 0.0;
  var products = 0.0;
  for (var i = local; i < params.width; i += 256u) {
    squares += x[first + i] * x[first + i];
    products += (weight[i] + params.offset) * grad_y[first + i] * x[first + i];
  }
  let inverse = inverseSqrt(reduce_sum(local, squares) / f32(params.width) + params.epsilon);
  let mean = reduce_sum(local, products) * inverse / f32(params.width);
  for (var i = local; i < params.width; i += 256u) {
    let grad = ((weight[i] + params.offset) * grad_y[first + i] - x[first + i] * inverse * mean) * inverse;
    if (ACCUMULATE) {
      grad_x[first + i] += grad;
    } else {
      grad_x[first + i] = grad;
    }
  }
  if (local == 0u) {
    inverses[row] = inverse;
  }
}
