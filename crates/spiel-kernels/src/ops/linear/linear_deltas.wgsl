// uses: grid row_sums
// y += x·Dᵀ for a few tokens and the sparse matrix D of a module's deltas: LANES invocations share a row of D, whose slots
// are adjacent because positions ascend.
struct Params { count: u32, width: u32, outputs: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>; // [k], flat over [outputs, width]
@group(0) @binding(2) var<storage, read> values: array<f32>; // [k]
@group(0) @binding(3) var<storage, read> x: array<f32>; // [TOKENS, width]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [TOKENS, outputs]

@compute @workgroup_size(ROWS * LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let first_row = grid_index(group, groups) * ROWS;
  // Rows past the end repeat the last; their sums are not stored.
  let start = min(first_row + local / LANES, params.outputs - 1u) * params.width;
  let end = first_slot(start + params.width);
  var sums: array<f32, TOKENS>;
  for (var slot = first_slot(start) + local % LANES; slot < end; slot += LANES) {
    let column = indices[slot] - start;
    for (var token = 0u; token < TOKENS; token++) {
      sums[token] += values[slot] * x[token * params.width + column];
    }
  }
  put_sums(local, sums);
  let row = first_row + local % ROWS;
  if (local < ROWS * TOKENS && row < params.outputs) {
    y[local / ROWS * params.outputs + row] += sum_of_row(local);
  }
}

// The first slot whose position is not before this one.
fn first_slot(position: u32) -> u32 {
  var low = 0u;
  var high = params.count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (indices[middle] < position) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}
