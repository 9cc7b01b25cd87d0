// uses: grid reduce $weight
// y = x·Wᵀ for a few tokens, straight from the stored weights, which are read once and never written out: a workgroup
// owns a row of W, of which every invocation decodes eight weights at a time.
struct Params {
  width: u32, outputs: u32, // W [outputs, width]
  first_row: u32, rows: u32, // the rows of W that are bound
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [TOKENS, width]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [TOKENS, outputs]

@compute @workgroup_size(REDUCE_WIDTH)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = grid_index(group, groups);
  if (row >= params.rows) {
    return;
  }
  var sums: array<f32, TOKENS>;
  for (var first = local * 8u; first < params.width; first += 8u * REDUCE_WIDTH) {
    var weights = decode8(row * params.width + first);
    // A row may end within the eight.
    let count = min(8u, params.width - first);
    for (var token = 0u; token < TOKENS; token++) {
      for (var i = 0u; i < count; i++) {
        sums[token] += weights[i] * x[token * params.width + first + i];
      }
    }
  }
  for (var token = 0u; token < TOKENS; token++) {
    let sum = reduce_sum(local, sums[token]);
    if (local == 0u) {
      y[token * params.outputs + params.first_row + row] = sum;
    }
  }
}
