// uses: grid
// grad_bias += Σ over rows of grad_y: an invocation owns a column.
struct Params { rows: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad_y: array<f32>; // [T, width]
@group(0) @binding(2) var<storage, read_write> grad_bias: array<f32>; // [width]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let column = grid_index(group, groups) * 256u + local;
  if (column >= params.width) {
    return;
  }
  var sum = grad_bias[column];
  for (var row = 0u; row < params.rows; row++) {
    sum += grad_y[row * params.width + column];
  }
  grad_bias[column] = sum;
}
