// uses: grid reduce
// One query of one head per workgroup, keys in blocks of 128 with a running maximum (flash attention, Dao 2023):
// an invocation scores a key, then owns entries of the output.
struct Params { tokens: u32, heads: u32, kv_heads: u32, factor: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>; // [T, H, head_dim]
@group(0) @binding(2) var<storage, read> k: array<f32>; // [S, K, head_dim]
@group(0) @binding(3) var<storage, read> v: array<f32>; // [S, K, head_dim]
@group(0) @binding(4) var<storage, read> seen: array<vec2<u32>>; // [T]: first key that a query sees, and the end
@group(0) @binding(5) var<storage, read_write> out: array<f32>; // [T, H, head_dim]
@group(0) @binding(6) var<storage, read_write> log_sums: array<f32>; // [T, H]

var<workgroup> query: array<f32, HEAD_DIM>;
var<workgroup> weights: array<f32, 128>;

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
  }
  workgroupBarrier();
  let range = seen[row / params.heads];
  var sums: array<f32, ENTRIES>;
  var largest = -3.4e38;
  var total = 0.0;
  for (var first = range.x; first < range.y; first += 128u) {
    let key = first + local;
    var score = -3.4e38;
    if (key < range.y) {
      let at = (key * params.kv_heads + kv_head) * HEAD_DIM;
      score = 0.0;
      for (var i = 0u; i < HEAD_DIM; i++) {
        score += query[i] * k[at + i];
      }
      score *= params.factor;
    }
    let now = max(largest, reduce_max(local, score));
    let weight = select(0.0, exp(score - now), key < range.y);
    weights[local] = weight;
    let shrink = exp(largest - now);
    total = total * shrink + reduce_sum(local, weight);
    let count = min(128u, range.y - first);
    for (var entry = 0u; entry < ENTRIES; entry++) {
      let i = local + entry * 128u;
      if (i < HEAD_DIM) {
        var sum = sums[entry] * shrink;
        for (var j = 0u; j < count; j++) {
          sum += weights[j] * v[((first + j) * params.kv_heads + kv_head) * HEAD_DIM + i];
        }
        sums[entry] = sum;
      }
    }
    largest = now;
    workgroupBarrier();
  }
  for (var entry = 0u; entry < ENTRIES; entry++) {
    let i = local + entry * 128u;
    if (i < HEAD_DIM) {
      out[row * HEAD_DIM + i] = sums[entry] / total;
    }
  }
  if (local == 0u) {
    log_sums[row] = largest + log(total);
  }
}
