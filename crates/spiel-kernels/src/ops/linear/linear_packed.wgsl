// uses: grid row_sums $b $weight
// y = x·Wᵀ for a few tokens, straight from the stored weights, which are read once and never written out: LANES
// invocations share a row of W and decode eight weights at a time. B is x [TOKENS, width].
struct Params {
  width: u32, outputs: u32, // W [outputs, width]
  first_row: u32, rows: u32, // the rows of W that are bound
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [TOKENS, outputs]

@compute @workgroup_size(ROWS * LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let first_row = grid_index(group, groups) * ROWS;
  // Rows past the end repeat the last; their sums are not stored.
  let start = min(first_row + local / LANES, params.rows - 1u) * params.width;
  var sums: array<f32, TOKENS>;
  for (var first = local % LANES * 8u; first < params.width; first += 8u * LANES) {
    var w = decode8(start + first);
    for (var token = 0u; token < TOKENS; token++) {
      let at = token * params.width + first;
      if (IN_EIGHTS) {
        sums[token] += dot(b_four(at), vec4<f32>(w[0], w[1], w[2], w[3]))
          + dot(b_four(at + 4u), vec4<f32>(w[4], w[5], w[6], w[7]));
      } else {
        for (var i = 0u; i < min(8u, params.width - first); i++) {
          sums[token] += w[i] * b_one(at + i);
        }
      }
    }
  }
  put_sums(local, sums);
  let row = first_row + local % ROWS;
  if (local < ROWS * TOKENS && row < params.rows) {
    y[local / ROWS * params.outputs + params.first_row + row] = sum_of_row(local);
  }
}
