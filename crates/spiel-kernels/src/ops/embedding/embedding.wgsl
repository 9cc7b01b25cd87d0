// uses: grid $weight
// x[t] = table[token[t]]: an invocation decodes eight entries of a row. Only a window of the table is bound, `length`
// rows from `first` on.
struct Params { count: u32, width: u32, first: u32, length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> tokens: array<u32>; // [T]
@group(0) @binding(3) var<storage, read_write> x: array<f32>; // [T, D]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let chunks = (params.width + 7u) / 8u;
  let chunk = grid_index(group, groups) * 256u + local;
  let row = chunk / chunks;
  if (row >= params.count) {
    return;
  }
  let token = tokens[row] - params.first; // wraps when it is before the window
  if (token >= params.length) {
    return;
  }
  let column = chunk % chunks * 8u;
  var values = decode8(token * params.width + column);
  for (var i = 0u; i < min(8u, params.width - column); i++) {
    x[row * params.width + column + i] = values[i];
  }
}
