// uses: grid
// The gradient in one query of one head: scores are computed again, keys in blocks of 128; an invocation scores a key,
// then owns entries of the gradient.
struct Params { tokens: u32, heads: u32, kv_heads: u32, factor: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>; // [T, H, head_dim]
@group(0) @binding(2) var<storage, read> k: array<f32>; // [S, K, head_dim]
@group(0) @binding(3) var<storage, read> v: array<f32>; // [S, K, head_dim]
@group(0) @binding(4) var<storage, read> seen: array<vec2<u32>>; // [T]
@group(0) @binding(5) var<storage, read> stats: array<vec2<f32>>; // [T, H]: log-sum, mean
@group(0) @binding(6) var<storage, read> grad_out: array<f32>; // [T, H, head_dim]
@group(0) @binding(7) var<storage, read_write> grad_q: array<f32>; // [T, H, head_dim]

var<workgroup> query: array<f32, HEAD_DIM>;
var<workgroup> grad_row: array<f32, HEAD_DIM>;
var<workgroup> grad_scores: array<f32, 128>;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = grid_index(group, groups); // t * H + h
  if (row >= params.tokens * params.heads) {
    return;
  }
  let kv_head = row % params.heads / (params.heads / params.kv_heads);
  for (var i = local; i < HEAD_DIM; i += 128u) {
    query[i] = q[row * HEAD_DIM + i];
    grad_row[i] = grad_out[row * HEAD_DIM + i];
  }
  workgroupBarrier();
  let range = seen[row / params.heads];
  let stat = stats[row];
  var sums: array<f32, ENTRIES>;
  for (var first = range.x; first < range.y; first += 128u) {
    let key = first + local;
    if (key < range.y) {
      let at = (key * params.kv_heads + kv_head) * HEAD_DIM;
      var score = 0.0;
      var grad = 0.0;
      for (var i = 0u; i < HEAD_DIM; i++) {
        score += query[i] * k[at + i];
        grad += grad_row[i] * v[at + i];
      }
      grad_scores[local] = exp(score * params.factor - stat.x) * (grad - stat.y) * params.factor;
    }
    workgroupBarrier();
    let count = min(128u, range.y - first);
    for (var entry = 0u; entry < ENTRIES; entry++) {
      let i = local + entry * 128u;
      if (i < HEAD_DIM) {
        for (var j = 0u; j < count; j++) {
          sums[entry] +=
            grad_scores[j] * k[((first + j) * params.kv_heads + kv_head) * HEAD_DIM + i];
        }
      }
    }
    workgroupBarrier();
  }
  for (var entry = 0u; entry < ENTRIES; entry++) {
    let i = local + entry * 128u;
    if (i < HEAD_DIM) {
      grad_q[row * HEAD_DIM + i] = sums[entry];
    }
  }
}
