// uses: grid reduce
// y = x / sqrt(mean(x²) + epsilon) · (weight + offset): a workgroup owns a row.
struct Params { rows: u32, width: u32, epsilon: f32, offset: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, width]
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [width]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [rows, width]

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
  var sum = 0.0;
  for (var i = local; i < params.width; i += 256u) {
    sum += x[first + i] * x[first + i];
  }
  let inverse = inverseSqrt(reduce_sum(local, sum) / f32(params.width) + params.epsilon);
  for (var i = local; i < params.width; i += 256u) {
    y[first + i] = x[first + i] * inverse * (weight[i] + params.offset);
  }
}
