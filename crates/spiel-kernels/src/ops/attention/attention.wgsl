// uses: grid $operands $tile
// Flash attention (Dao, arXiv 2307.08691): a workgroup owns 64 rows of queries and walks over the keys that they see, 32
// at a time, with a running maximum.
@group(0) @binding(4) var<storage, read> seen: array<vec2<u32>>; // [T]: first key that a query sees, and the end
@group(0) @binding(5) var<storage, read_write> out: array<f32>; // [T, H, head_dim]
@group(0) @binding(6) var<storage, read_write> log_sums: array<f32>; // [T, H]

fn left(operand: u32, row: u32, at: u32) -> vec4<f32> {
  return query_four(row, at);
}

fn right(operand: u32, column: u32, at: u32) -> vec4<f32> {
  if (operand == 0u) {
    return key_four(column, at);
  }
  return value_four(column, at);
}

// The bound keys that a row sees.
fn seen_by(row: u32) -> vec2<u32> {
  if (!is_query(row)) {
    return vec2<u32>();
  }
  let last = params.first_key + params.keys;
  let range = seen[params.first_query + row / SHARED];
  return clamp(range, vec2<u32>(params.first_key), vec2<u32>(last)) - params.first_key;
}

fn earlier_one(row: u32, entry: u32) -> f32 {
  if (!is_query(row) || entry >= HEAD_DIM) {
    return 0.0;
  }
  return out[query_row(row) * HEAD_DIM + entry];
}

fn earlier_row(row: u32, entry: u32) -> vec4<f32> {
  return vec4<f32>(
    earlier_one(row, entry), earlier_one(row, entry + 1u),
    earlier_one(row, entry + 2u), earlier_one(row, entry + 3u));
}

fn earlier(row: u32, entry: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    earlier_row(row, entry), earlier_row(row + 1u, entry),
    earlier_row(row + 2u, entry), earlier_row(row + 3u, entry));
}

fn earlier_log_sum(row: u32) -> f32 {
  if (!is_query(row)) {
    return LEAST;
  }
  return log_sums[query_row(row)];
}

fn store_one(row: u32, entry: u32, x: f32) {
  if (entry < HEAD_DIM) {
    out[query_row(row) * HEAD_DIM + entry] = x;
  }
}

fn store_row(row: u32, entry: u32, x: vec4<f32>) {
  if (is_query(row)) {
    store_one(row, entry, x.x);
    store_one(row, entry + 1u, x.y);
    store_one(row, entry + 2u, x.z);
    store_one(row, entry + 3u, x.w);
  }
}

fn store(row: u32, entry: u32, sums: mat4x4<f32>, totals: vec4<f32>) {
  store_row(row, entry, sums[0] / totals.x);
  store_row(row + 1u, entry, sums[1] / totals.y);
  store_row(row + 2u, entry, sums[2] / totals.z);
  store_row(row + 3u, entry, sums[3] / totals.w);
}

fn store_log_sum(row: u32, x: f32) {
  if (is_query(row)) {
    log_sums[query_row(row)] = x;
  }
}

fn shrunk(sums: mat4x4<f32>, by: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(sums[0] * by.x, sums[1] * by.y, sums[2] * by.z, sums[3] * by.w);
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = grid_index(group, groups);
  let rows = params.queries * SHARED;
  let tiles = (rows + 63u) / 64u;
  if (index >= tiles * KV_HEADS) {
    return;
  }
  kv_head = index % KV_HEADS;
  let first_row = (tiles - 1u - index / KV_HEADS) * 64u; // those that see the most come first
  let x = local % 16u;
  let y = local / 16u;
  let row = first_row + 4u * y;
  let a = seen_by(row);
  let b = seen_by(row + 1u);
  let c = seen_by(row + 2u);
  let d = seen_by(row + 3u);
  let starts = vec4<u32>(a.x, b.x, c.x, d.x);
  let ends = vec4<u32>(a.y, b.y, c.y, d.y);
  var largest = vec4<f32>(LEAST);
  var totals = vec4<f32>(); // over this invocation's columns
  var sums: mat4x4<f32>;
  var sums64: mat4x4<f32>;
  var sums128: mat4x4<f32>;
  var sums192: mat4x4<f32>;
  if (params.resumes != 0u) {
    largest = vec4<f32>(
      earlier_log_sum(row), earlier_log_sum(row + 1u),
      earlier_log_sum(row + 2u), earlier_log_sum(row + 3u));
    totals = vec4<f32>(select(0.0, 1.0, x == 0u));
    sums = earlier(row, 4u * x);
    sums64 = earlier(row, 64u + 4u * x);
    sums128 = earlier(row, 128u + 4u * x);
    sums192 = earlier(row, 192u + 4u * x);
  }
  let end = seen_by(min(first_row + 63u, rows - 1u)).y;
  for (var first = seen_by(first_row).x; first < end; first += 32u) {
    let scores = products(0u, first_row, first, x, y);
    let near_key = vec4<u32>(first + x);
    let far_key = near_key + 16u;
    let near_seen = (near_key >= starts) & (near_key < ends);
    let far_seen = (far_key >= starts) & (far_key < ends);
    let near = select(vec4<f32>(LEAST), scores.near * params.factor, near_seen);
    let far = select(vec4<f32>(LEAST), scores.far * params.factor, far_seen);
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
    sums = add_products(shrunk(sums, shrink), 1u, first, 0u, x, y);
    if (HEAD_DIM > 64u) {
      sums64 = add_products(shrunk(sums64, shrink), 1u, first, 64u, x, y);
    }
    if (HEAD_DIM > 128u) {
      sums128 = add_products(shrunk(sums128, shrink), 1u, first, 128u, x, y);
    }
    if (HEAD_DIM > 192u) {
      sums192 = add_products(shrunk(sums192, shrink), 1u, first, 192u, x, y);
    }
  }
  workgroupBarrier();
  staged[x * 16u + y] = totals;
  workgroupBarrier();
  var total = vec4<f32>();
  for (var i = y; i < 256u; i += 16u) {
    total += staged[i];
  }
  // A row that has seen no key yet keeps a sum of zeros.
  total = select(total, vec4<f32>(1.0), total == vec4<f32>());
  store(row, 4u * x, sums, total);
  store(row, 64u + 4u * x, sums64, total);
  store(row, 128u + 4u * x, sums128, total);
  store(row, 192u + 4u * x, sums192, total);
  if (x == 0u) {
    let now = largest + log(total);
    store_log_sum(row, now.x);
    store_log_sum(row + 1u, now.y);
    store_log_sum(row + 2u, now.z);
    store_log_sum(row + 3u, now.w);
  }
}
