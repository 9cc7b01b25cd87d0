// uses: grid reduce $operands $query_rows
// Attention of a few queries, as in generation: a workgroup owns one row and walks over the keys that it sees, 128 at a
// time, with a running maximum; an invocation scores a key, then owns entries of the output.
@group(0) @binding(5) var<storage, read_write> out: array<f32>; // [T, H, head_dim]
@group(0) @binding(6) var<storage, read_write> log_sums: array<f32>; // [T, H]

const ENTRIES: u32 = (HEAD_DIM + 127u) / 128u; // of the output, per invocation

var<workgroup> query: array<f32, HEAD_DIM>;
var<workgroup> weights: array<f32, 128>;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = grid_index(group, groups);
  if (index >= params.queries * SHARED * KV_HEADS) {
    return;
  }
  kv_head = index % KV_HEADS;
  let row = query_row(index / KV_HEADS);
  for (var i = local; i < HEAD_DIM; i += 128u) {
    query[i] = q[row * HEAD_DIM + i];
  }
  let range = seen_by(index / KV_HEADS);
  var sums: array<f32, ENTRIES>;
  var largest = LEAST;
  var total = 0.0;
  if (params.resumes != 0u) {
    // Before the barrier, as one of the invocations that read it writes it in the end.
    largest = log_sums[row];
    total = 1.0;
    for (var entry = 0u; entry < ENTRIES; entry++) {
      let i = local + entry * 128u;
      if (i < HEAD_DIM) {
        sums[entry] = out[row * HEAD_DIM + i];
      }
    }
  }
  storageBarrier();
  workgroupBarrier();
  for (var first = range.x; first < range.y; first += 128u) {
    let key = first + local;
    var score = LEAST;
    if (key < range.y) {
      let at = key_row(key) * HEAD_DIM;
      score = 0.0;
      for (var i = 0u; i < HEAD_DIM; i++) {
        score += query[i] * k[at + i];
      }
      score *= params.factor;
      if (CAPPED) {
        score = soft_cap(score, params.cap);
      }
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
          sum += weights[j] * v[key_row(first + j) * HEAD_DIM + i];
        }
        sums[entry] = sum;
      }
    }
    largest = now;
    workgroupBarrier();
  }
  // A row that has seen no key yet keeps a sum of zeros.
  total = select(total, 1.0, total == 0.0);
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
