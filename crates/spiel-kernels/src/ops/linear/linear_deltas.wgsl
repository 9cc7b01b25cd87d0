// uses: grid reduce
// y += x·Dᵀ for a few tokens and the sparse matrix D of a module's deltas: a workgroup owns a row of D, whose slots are
// adjacent because positions ascend.
struct Params { count: u32, width: u32, outputs: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>; // [k], flat over [outputs, width]
@group(0) @binding(2) var<storage, read> values: array<f32>; // [k]
@group(0) @binding(3) var<storage, read> x: array<f32>; // [TOKENS, width]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [TOKENS, outputs]

@compute @workgroup_size(REDUCE_WIDTH)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = grid_index(group, groups);
  if (row >= params.outputs) {
    return;
  }
  let start = row * params.width;
  let end = first_slot(start + params.width);
  var sums: array<f32, TOKENS>;
  for (var slot = first_slot(start) + local; slot < end; slot += REDUCE_WIDTH) {
    let column = indices[slot] - start;
    for (var token = 0u; token < TOKENS; token++) {
      sums[token] += values[slot] * x[token * params.width + column];
    }
  }
  for (var token = 0u; token < TOKENS; token++) {
    let sum = reduce_sum(local, sums[token]);
    if (local == 0u) {
      y[token * params.outputs + row] += sum;
    }
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
