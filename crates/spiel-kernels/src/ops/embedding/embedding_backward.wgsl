// uses: grid
// grad_table[token[t]] += grad_x[t], in the order of the tokens: an invocation owns a column. Only a window of the table
// is bound, `length` rows from `first` on.
struct Params { count: u32, width: u32, first: u32, length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> grad_x: array<f32>; // [T, D]
@group(0) @binding(3) var<storage, read_write> grad_table: array<f32>; // [V, D]

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
  for (var row = 0u; row < params.count; row++) {
    let token = tokens[row] - params.first; // wraps when it is before the window
    if (token < params.length) {
      grad_table[token * params.width + column] += grad_x[row * params.width + column];
    }
  }
}
