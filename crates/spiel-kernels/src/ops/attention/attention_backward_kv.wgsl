// uses: grid $operands $backward_operands $tile
// The gradients in 64 keys and values, summed over the rows of queries that see them, 32 at a time: scores are computed
// again, transposed.
@group(0) @binding(7) var<storage, read_write> grad_k: array<f32>; // [S, K, head_dim]
@group(0) @binding(8) var<storage, read_write> grad_v: array<f32>; // [S, K, head_dim]

fn left(operand: u32, row: u32, at: u32) -> vec4<f32> {
  if (operand == 0u) {
    return key_four(row, at);
  }
  return value_four(row, at);
}

fn right(operand: u32, column: u32, at: u32) -> vec4<f32> {
  if (operand == 0u) {
    return query_four(column, at);
  }
  return grad_four(column, at);
}

fn row_count() -> u32 {
  return params.keys;
}

// The bound rows of queries that see a key, which are its columns.
fn seen_by(key: u32) -> vec2<u32> {
  if (key >= params.keys) {
    return vec2<u32>();
  }
  let last = params.first_query + params.queries;
  let range = ranges[params.first_key + key];
  return (clamp(range, vec2<u32>(params.first_query), vec2<u32>(last)) - params.first_query) * SHARED;
}

fn store_one(key: u32, entry: u32, key_sum: f32, value_sum: f32) {
  if (entry < HEAD_DIM) {
    let at = key_row(key) * HEAD_DIM + entry;
    let resumes = params.resumes != 0u;
    grad_k[at] = select(0.0, grad_k[at], resumes) + key_sum;
    grad_v[at] = select(0.0, grad_v[at], resumes) + value_sum;
  }
}

fn store_row(key: u32, entry: u32, key_sums: vec4<f32>, value_sums: vec4<f32>) {
  if (key < params.keys) {
    store_one(key, entry, key_sums.x, value_sums.x);
    store_one(key, entry + 1u, key_sums.y, value_sums.y);
    store_one(key, entry + 2u, key_sums.z, value_sums.z);
    store_one(key, entry + 3u, key_sums.w, value_sums.w);
  }
}

fn store(key: u32, first: u32, x: u32, key_sums: mat4x4<f32>, value_sums: mat4x4<f32>) {
  if (first >= HEAD_DIM) {
    return;
  }
  let entry = first + 4u * x;
  store_row(key, entry, key_sums[0], value_sums[0]);
  store_row(key + 1u, entry, key_sums[1], value_sums[1]);
  store_row(key + 2u, entry, key_sums[2], value_sums[2]);
  store_row(key + 3u, entry, key_sums[3], value_sums[3]);
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = grid_index(group, groups);
  if (index >= tile_count() * KV_HEADS) {
    return;
  }
  kv_head = index % KV_HEADS;
  let first_key = index / KV_HEADS * 64u; // those that are seen the most come first
  let columns = seen_by_tile(first_key);
  let x = local % 16u;
  let y = local / 16u;
  let key = first_key + 4u * y;
  let seen = seen_by_four(key);
  var key_sums: mat4x4<f32>;
  var key_sums64: mat4x4<f32>;
  var key_sums128: mat4x4<f32>;
  var key_sums192: mat4x4<f32>;
  var value_sums: mat4x4<f32>;
  var value_sums64: mat4x4<f32>;
  var value_sums128: mat4x4<f32>;
  var value_sums192: mat4x4<f32>;
  for (var first = columns.x; first < columns.y; first += 32u) {
    let pairs = products(0u, first_key, first, x, y);
    let grads = products(1u, first_key, first, x, y);
    let near_stats = stats_of(first + x);
    let far_stats = stats_of(first + x + 16u);
    let near_scores = scored(pairs.near);
    let far_scores = scored(pairs.far);
    let near_weights = select(
      vec4<f32>(), exp(near_scores - near_stats.x),
      is_seen(first + x, seen));
    let far_weights = select(
      vec4<f32>(), exp(far_scores - far_stats.x),
      is_seen(first + x + 16u, seen));
    workgroupBarrier();
    stage_factor(
      near_weights * (grads.near - near_stats.y) * slopes(near_scores),
      far_weights * (grads.far - far_stats.y) * slopes(far_scores),
      x, y);
    key_sums = add_products(key_sums, 0u, first, 0u, x, y);
    if (HEAD_DIM > 64u) {
      key_sums64 = add_products(key_sums64, 0u, first, 64u, x, y);
    }
    if (HEAD_DIM > 128u) {
      key_sums128 = add_products(key_sums128, 0u, first, 128u, x, y);
    }
    if (HEAD_DIM > 192u) {
      key_sums192 = add_products(key_sums192, 0u, first, 192u, x, y);
    }
    workgroupBarrier();
    stage_factor(near_weights, far_weights, x, y);
    value_sums = add_products(value_sums, 1u, first, 0u, x, y);
    if (HEAD_DIM > 64u) {
      value_sums64 = add_products(value_sums64, 1u, first, 64u, x, y);
    }
    if (HEAD_DIM > 128u) {
      value_sums128 = add_products(value_sums128, 1u, first, 128u, x, y);
    }
    if (HEAD_DIM > 192u) {
      value_sums192 = add_products(value_sums192, 1u, first, 192u, x, y);
    }
  }
  store(key, 0u, x, key_sums, value_sums);
  store(key, 64u, x, key_sums64, value_sums64);
  store(key, 128u, x, key_sums128, value_sums128);
  store(key, 192u, x, key_sums192, value_sums192);
}
