// uses: grid
// grads[i] (+)= grad_y_t[row] · x_t[column] for the position of every slot, which one invocation owns. Neighbours share
// a row, but have columns of their own: with STAGED these pass through workgroup memory, sixteen tokens at a time. Tokens
// are added one after another, as a dense product adds them, so that all ways give the same bits. Of the slots from
// `first_slot` to `end_slot` those outside of the bound rows and columns are left alone.
struct Params {
  first_slot: u32, end_slot: u32,
  tokens: u32, width: u32,
  first_row: u32, rows: u32,
  first_column: u32, columns: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>; // [k]
@group(0) @binding(2) var<storage, read> x_t: array<f32>; // [in, T]
@group(0) @binding(3) var<storage, read> grad_y_t: array<f32>; // [out, T]
@group(0) @binding(4) var<storage, read_write> grads: array<f32>; // [k]

const NOWHERE: u32 = 0xFFFFFFFFu;
const PITCH: u32 = 17u; // odd, so that neighbours are in different banks

var<workgroup> starts: array<u32, 128>; // where every slot's column begins
var<workgroup> staged: array<f32, 128u * PITCH>;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let slot = params.first_slot + grid_index(group, groups) * 128u + local;
  var start = NOWHERE;
  var y = 0u;
  if (slot < params.end_slot) {
    let index = indices[slot];
    // These wrap when they are before what is bound.
    let row = index / params.width - params.first_row;
    let column = index % params.width - params.first_column;
    if (row < params.rows && column < params.columns) {
      start = column * params.tokens;
      y = row * params.tokens;
    }
  }
  starts[local] = start;
  var sum = 0.0;
  if (!STAGED && start != NOWHERE) {
    for (var token = 0u; token < params.tokens; token++) {
      sum += grad_y_t[y + token] * x_t[start + token];
    }
  }
  for (var first = 0u; STAGED && first < params.tokens; first += 16u) {
    workgroupBarrier();
    for (var i = local; i < 2048u; i += 128u) {
      let column = starts[i / 16u];
      let token = first + i % 16u;
      if (column != NOWHERE && token < params.tokens) {
        staged[i / 16u * PITCH + i % 16u] = x_t[column + token];
      }
    }
    workgroupBarrier();
    if (start != NOWHERE) {
      let count = min(16u, params.tokens - first);
      for (var i = 0u; i < count; i++) {
        sum += grad_y_t[y + first + i] * staged[local * PITCH + i];
      }
    }
  }
  if (start != NOWHERE) {
    if (ACCUMULATE) {
      grads[slot] += sum;
    } else {
      grads[slot] = sum;
    }
  }
}
