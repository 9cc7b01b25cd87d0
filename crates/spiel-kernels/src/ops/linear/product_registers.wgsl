// uses: grid $a $b $product_blocks
// C (+)= A·B without workgroup memory, whose barriers cost a processor that poses as a GPU more than they save: an
// invocation owns 8 x 8 of C and reads what it needs itself; a workgroup owns 32 x 64.
@compute @workgroup_size(8, 4)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let tile = grid_index(group, groups);
  let row = tile % params.row_tiles * 32u + local.y * 8u;
  let column = tile / params.row_tiles * 64u + local.x * 8u;
  if (row >= params.m || column >= params.n) {
    return;
  }
  var top_left = mat4x4<f32>();
  var top_right = mat4x4<f32>();
  var bottom_left = mat4x4<f32>();
  var bottom_right = mat4x4<f32>();
  let whole = params.k / 4u * 4u;
  for (var inner = 0u; inner < whole; inner += 4u) {
    let top = a_block(row, inner);
    let bottom = a_block(row + 4u, inner);
    let left = widened(b_block(column, inner));
    let right = widened(b_block(column + 4u, inner));
    top_left = add_block(top_left, top, left);
    top_right = add_block(top_right, top, right);
    bottom_left = add_block(bottom_left, bottom, left);
    bottom_right = add_block(bottom_right, bottom, right);
  }
  if (whole < params.k) {
    let top = a_edge(row, whole);
    let bottom = a_edge(row + 4u, whole);
    let left = widened(b_edge(column, whole));
    let right = widened(b_edge(column + 4u, whole));
    top_left = add_block(top_left, top, left);
    top_right = add_block(top_right, top, right);
    bottom_left = add_block(bottom_left, bottom, left);
    bottom_right = add_block(bottom_right, bottom, right);
  }
  store(row, column, top_left);
  store(row, column + 4u, top_right);
  store(row + 4u, column, bottom_left);
  store(row + 4u, column + 4u, bottom_right);
}

fn widened(block: mat4x4<Element>) -> mat4x4<f32> {
  return mat4x4<f32>(
    vec4<f32>(block[0]), vec4<f32>(block[1]), vec4<f32>(block[2]), vec4<f32>(block[3]));
}

// Adds the products at four places of k.
fn add_block(sums: mat4x4<f32>, rows: mat4x4<f32>, columns: mat4x4<f32>) -> mat4x4<f32> {
  let first = add_outer(add_outer(sums, rows[0], columns[0]), rows[1], columns[1]);
  return add_outer(add_outer(first, rows[2], columns[2]), rows[3], columns[3]);
}
