// uses: grid
// grads[i] (+)= grad_y_t[row] · x_t[column] for the position of every slot: 32 invocations share a slot's tokens, and
// their sums are added in a fixed tree. Slots outside of the bound rows and columns are left alone.
struct Params {
  count: u32, tokens: u32, width: u32,
  first_row: u32, rows: u32,
  first_column: u32, columns: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>; // [k]
@group(0) @binding(2) var<storage, read> x_t: array<f32>; // [in, T]
@group(0) @binding(3) var<storage, read> grad_y_t: array<f32>; // [out, T]
@group(0) @binding(4) var<storage, read_write> grads: array<f32>; // [k]

var<workgroup> lanes: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let slot = grid_index(group, groups) * 8u + local / 32u;
  var sum = 0.0;
  var is_bound = false;
  if (slot < params.count) {
    let index = indices[slot];
    // These wrap when they are before what is bound.
    let row = index / params.width - params.first_row;
    let column = index % params.width - params.first_column;
    is_bound = row < params.rows && column < params.columns;
    let x = column * params.tokens;
    let y = row * params.tokens;
    for (var token = local % 32u; is_bound && token < params.tokens; token += 32u) {
      sum += x_t[x + token] * grad_y_t[y + token];
    }
  }
  lanes[local] = sum;
  workgroupBarrier();
  for (var width = 16u; width > 0u; width /= 2u) {
    if (local % 32u < width) {
      lanes[local] += lanes[local + width];
    }
    workgroupBarrier();
  }
  if (is_bound && local % 32u == 0u) {
    if (ACCUMULATE) {
      grads[slot] += lanes[local];
    } else {
      grads[slot] = lanes[local];
    }
  }
}
