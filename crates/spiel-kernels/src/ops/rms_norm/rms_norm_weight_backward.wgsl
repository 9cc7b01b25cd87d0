// uses: grid
// grad_weight += Σ over rows of g · x / rms: an invocation owns a column.
struct Params { rows: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, width]
@group(0) @binding(2) var<storage, read> grad_y: array<f32>; // [rows, width]
@group(0) @binding(3) var<storage, read> inverses: array<f32>; // [rows]
@group(0) @binding(4) var<storage, read_write> grad_weight: array<f32>; // [width]

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
  var sum = 0.0;
  for (var row = 0u; row < params.rows; row++) {
    let at = row * params.width + column;
    sum += grad_y[at] * x[at] * inverses[row];
  }
  grad_weight[column] += sum;
}
