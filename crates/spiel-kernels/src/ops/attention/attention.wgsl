// uses: grid $operands $query_rows $tile
// Flash attention (Dao, arXiv 2307.08691): a workgroup takes 64 rows of queries through their keys, 32 at a time.
@group(0) @binding(5) var<storage, read_write> out: array<f32>; // [T, H, head_dim]
@group(0) @binding(6) var<storage, read_write> log_sums: array<f32>; // [T, H]

fn left(operand: u32, row: u32, at: u32) -> vec4<f32> {
  return query_four(row, at);
}

fn earlier_log_sum(row: u32) -> f32 {
  if (params.resumes == 0u || !is_query(row)) {
    return LEAST;
  }
  return log_sums[query_row(row)];
}

fn store_one(row: u32, entry: u32, x: f32, kept: f32) {
  if (entry < HEAD_DIM) {
    let at = query_row(row) * HEAD_DIM + entry;
    out[at] = x + select(0.0, kept * out[at], params.resumes != 0u);
  }
}

fn store_row(row: u32, entry: u32, x: vec4<f32>, kept: f32) {
  if (is_query(row)) {
    store_one(row, entry, x.x, kept);
    store_one(row, entry + 1u, x.y, kept);
    store_one(row, entry + 2u, x.z, kept);
    store_one(row, entry + 3u, x.w, kept);
  }
}

fn store(row: u32, first: u32, x: u32, sums: mat4x4<f32>, kept: vec4<f32>) {
  if (first >= HEAD_DIM) {
    return;
  }
  let entry = first + 4u * x;
  store_row(row, entry, sums[0], kept.x);
  store_row(row + 1u, entry, sums[1], kept.y);
  store_row(row + 2u, entry, sums[2], kept.z);
  store_row(row + 3u, entry, sums[3], kept.w);
}

fn store_log_sum(row: u32, x: f32) {
  if (is_query(row)) {
    log_sums[query_row(row)] = x;
  }
}

fn scaled(sums: mat4x4<f32>, by: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(sums[0] * by.x, sums[1] * by.y, sums[2] * by.z, sums[3] * by.w);
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = grid_index(group, groups);
  let tiles = tile_count();
  if (index >= tiles * KV_HEADS) {
    return;
  }
  kv_head = index % KV_HEADS;
  let first_row = (tiles - 1u - index / KV_HEADS) * 64u; // those that see the most come first
  let columns = seen_by_tile(first_row);
  let x = local % 16u;
  let y = local / 16u;
  let row = first_row + 4u * y;
  let seen = seen_by_four(row);
  var largest = vec4<f32>(LEAST);
  var totals = vec4<f32>(); // over this invocation's columns
  var sums: mat4x4<f32>;
  var sums64: mat4x4<f32>;
  var sums128: mat4x4<f32>;
  var sums192: mat4x4<f32>;
  for (var first = columns.x; first < columns.y; first += 32u) {
    let scores = products(0u, first_row, first, x, y);
    let near_seen = is_seen(first + x, seen);
    let far_seen = is_seen(first + x + 16u, seen);
    let near = select(vec4<f32>(LEAST), scored(scores.near), near_seen);
    let far = select(vec4<f32>(LEAST), scored(scores.far), far_seen);
    workgroupBarrier();
    staged[FACTORS + x * 16u + y] = max(near, far);
    workgroupBarrier();
    var now = largest;
    for (var i = FACTORS + y; i < FACTORS + 256u; i += 16u) {
      now = max(now, staged[i]);
    }
    let near_weights = select(vec4<f32>(), exp(near - now), near_seen);
    let far_weights = select(vec4<f32>(), exp(far - now), far_seen);
    stage_factor(near_weights, far_weights, x, y);
    let shrink = exp(largest - now);
    largest = now;
    totals = totals * shrink + near_weights + far_weights;
    sums = add_products(scaled(sums, shrink), 1u, first, 0u, x, y);
    if (HEAD_DIM > 64u) {
      sums64 = add_products(scaled(sums64, shrink), 1u, first, 64u, x, y);
    }
    if (HEAD_DIM > 128u) {
      sums128 = add_products(scaled(sums128, shrink), 1u, first, 128u, x, y);
    }
    if (HEAD_DIM > 192u) {
      sums192 = add_products(scaled(sums192, shrink), 1u, first, 192u, x, y);
    }
  }
  // Read before the barriers, as one of the invocations that read it writes it in the end. A workgroup's barrier alone
  // does not order what storage holds.
  let before = vec4<f32>(
    earlier_log_sum(row), earlier_log_sum(row + 1u),
    earlier_log_sum(row + 2u), earlier_log_sum(row + 3u));
  storageBarrier();
  workgroupBarrier();
  staged[x * 16u + y] = totals;
  workgroupBarrier();
  var total = vec4<f32>();
  for (var i = y; i < 256u; i += 16u) {
    total += staged[i];
  }
  let most = max(before, largest);
  let earlier = exp(before - most); // one where nothing was seen at all, so that sums of zero stay zero
  let all = total * exp(largest - most) + earlier;
  let share = exp(largest - most) / all;
  let kept = earlier / all;
  store(row, 0u, x, scaled(sums, share), kept);
  store(row, 64u, x, scaled(sums64, share), kept);
  store(row, 128u, x, scaled(sums128, share), kept);
  store(row, 192u, x, scaled(sums192, share), kept);
  if (x == 0u) {
    let now = most + log(all);
    store_log_sum(row, now.x);
    store_log_sum(row + 1u, now.y);
    store_log_sum(row + 2u, now.z);
    store_log_sum(row + 3u, now.w);
  }
}
