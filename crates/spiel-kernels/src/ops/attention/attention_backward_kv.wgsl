// uses: grid
// The gradients in one key and value of one head, summed over the heads that share it and the queries that see it, in
// a fixed order: an invocation scores a query, then owns entries of the gradients.
struct Params { keys: u32, heads: u32, kv_heads: u32, factor: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>; // [T, H, head_dim]
@group(0) @binding(2) var<storage, read> k: array<f32>; // [S, K, head_dim]
@group(0) @binding(3) var<storage, read> v: array<f32>; // [S, K, head_dim]
@group(0) @binding(4) var<storage, read> seers: array<vec2<u32>>; // [S]: first query that sees a key, and the end
@group(0) @binding(5) var<storage, read> stats: array<vec2<f32>>; // [T, H]: log-sum, mean
@group(0) @binding(6) var<storage, read> grad_out: array<f32>; // [T, H, head_dim]
@group(0) @binding(7) var<storage, read_write> grad_k: array<f32>; // [S, K, head_dim]
@group(0) @binding(8) var<storage, read_write> grad_v: array<f32>; // [S, K, head_dim]

var<workgroup> key: array<f32, HEAD_DIM>;
var<workgroup> value: array<f32, HEAD_DIM>;
var<workgroup> weights: array<f32, 128>;
var<workgroup> grad_scores: array<f32, 128>;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = grid_index(group, groups); // s * K + kv_head
  if (row >= params.keys * params.kv_heads) {
    return;
  }
  let shared_heads = params.heads / params.kv_heads;
  let first_head = row % params.kv_heads * shared_heads;
  for (var i = local; i < HEAD_DIM; i += 128u) {
    key[i] = k[row * HEAD_DIM + i];
    value[i] = v[row * HEAD_DIM + i];
  }
  workgroupBarrier();
  let range = seers[row / params.kv_heads];
  var key_sums: array<f32, ENTRIES>;
  var value_sums: array<f32, ENTRIES>;
  for (var head = first_head; head < first_head + shared_heads; head++) {
    for (var first = range.x; first < range.y; first += 128u) {
      let token = first + local;
      if (token < range.y) {
        let at = token * params.heads + head;
        var score = 0.0;
        var grad = 0.0;
        for (var i = 0u; i < HEAD_DIM; i++) {
          score += key[i] * q[at * HEAD_DIM + i];
          grad += value[i] * grad_out[at * HEAD_DIM + i];
        }
        let weight = exp(score * params.factor - stats[at].x);
        weights[local] = weight;
        grad_scores[local] = weight * (grad - stats[at].y) * params.factor;
      }
      workgroupBarrier();
      let count = min(128u, range.y - first);
      for (var entry = 0u; entry < ENTRIES; entry++) {
        let i = local + entry * 128u;
        if (i < HEAD_DIM) {
          for (var j = 0u; j < count; j++) {
            let at = ((first + j) * params.heads + head) * HEAD_DIM + i;
            key_sums[entry] += grad_scores[j] * q[at];
            value_sums[entry] += weights[j] * grad_out[at];
          }
        }
      }
      workgroupBarrier();
    }
  }
  for (var entry = 0u; entry < ENTRIES; entry++) {
    let i = local + entry * 128u;
    if (i < HEAD_DIM) {
      grad_k[row * HEAD_DIM + i] = key_sums[entry];
      grad_v[row * HEAD_DIM + i] = value_sums[entry];
    }
  }
}
