// uses: grid $operands $query_rows $backward_operands $tile
// The gradients in 64 rows of queries: scores are computed again, for 32 keys at a time.
@group(0) @binding(7) var<storage, read_write> grad_q: array<f32>; // [T, H, head_dim]

fn left(operand: u32, row: u32, at: u32) -> vec4<f32> {
  if (operand == 0u) {
    return query_four(row, at);
  }
  return grad_four(row, at);
}

fn store_one(row: u32, entry: u32, x: f32) {
  if (entry < HEAD_DIM) {
    let at = query_row(row) * HEAD_DIM + entry;
    grad_q[at] = select(0.0, grad_q[at], params.resumes != 0u) + x;
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

fn store(row: u32, first: u32, x: u32, sums: mat4x4<f32>) {
  if (first >= HEAD_DIM) {
    return;
  }
  let entry = first + 4u * x;
  store_row(row, entry, sums[0]);
  store_row(row + 1u, entry, sums[1]);
  store_row(row + 2u, entry, sums[2]);
  store_row(row + 3u, entry, sums[3]);
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
  let of_a = stats_of(row);
  let of_b = stats_of(row + 1u);
  let of_c = stats_of(row + 2u);
  let of_d = stats_of(row + 3u);
  let log_sums = vec4<f32>(of_a.x, of_b.x, of_c.x, of_d.x);
  let means = vec4<f32>(of_a.y, of_b.y, of_c.y, of_d.y);
  var sums: mat4x4<f32>;
  var sums64: mat4x4<f32>;
  var sums128: mat4x4<f32>;
  var sums192: mat4x4<f32>;
  for (var first = columns.x; first < columns.y; first += 32u) {
    let pairs = products(0u, first_row, first, x, y);
    let grads = products(1u, first_row, first, x, y);
    let near_scores = scored(pairs.near);
    let far_scores = scored(pairs.far);
    let near = exp(near_scores - log_sums) * (grads.near - means) * slopes(near_scores);
    let far = exp(far_scores - log_sums) * (grads.far - means) * slopes(far_scores);
    workgroupBarrier();
    stage_factor(
      select(vec4<f32>(), near, is_seen(first + x, seen)),
      select(vec4<f32>(), far, is_seen(first + x + 16u, seen)),
      x, y);
    sums = add_products(sums, 0u, first, 0u, x, y);
    if (HEAD_DIM > 64u) {
      sums64 = add_products(sums64, 0u, first, 64u, x, y);
    }
    if (HEAD_DIM > 128u) {
      sums128 = add_products(sums128, 0u, first, 128u, x, y);
    }
    if (HEAD_DIM > 192u) {
      sums192 = add_products(sums192, 0u, first, 192u, x, y);
    }
  }
  store(row, 0u, x, sums);
  store(row, 64u, x, sums64);
  store(row, 128u, x, sums128);
  store(row, 192u, x, sums192);
}
