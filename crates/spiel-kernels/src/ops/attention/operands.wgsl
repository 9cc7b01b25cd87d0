// uses: soft_cap
// What attention is computed from, and where its rows lie. Rows of queries count all heads that share a key head: row r
// is head r % SHARED of query r / SHARED.
struct Params {
  queries: u32, first_query: u32, // how many are bound, and which is the first
  keys: u32, first_key: u32, // likewise
  factor: f32, cap: f32, // of scores
  resumes: u32, // whether the results of other keys or queries are there
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>; // [T, H, head_dim]
@group(0) @binding(2) var<storage, read> k: array<f32>; // [S, K, head_dim]
@group(0) @binding(3) var<storage, read> v: array<f32>; // [S, K, head_dim]
// Per query the first key that it sees, and the end; per key, in the gradients of the keys, the queries that see it.
@group(0) @binding(4) var<storage, read> ranges: array<vec2<u32>>;

const LEAST: f32 = -3.4e38; // less than any score

var<private> kv_head: u32;

fn query_row(row: u32) -> u32 {
  return (row / SHARED * KV_HEADS + kv_head) * SHARED + row % SHARED;
}

fn key_row(key: u32) -> u32 {
  return key * KV_HEADS + kv_head;
}

fn is_query(row: u32) -> bool {
  return row < params.queries * SHARED;
}

// Entry i of four from `at` on, or the last one of the row.
fn place(row: u32, at: u32, i: u32) -> u32 {
  if (HEAD_DIM % 4u == 0u) {
    return row * HEAD_DIM + at + i;
  }
  return row * HEAD_DIM + min(at + i, HEAD_DIM - 1u);
}

// Four entries from `at` on, zero past the end of the row.
fn inside(at: u32, four: vec4<f32>) -> vec4<f32> {
  if (HEAD_DIM % 4u == 0u) {
    return four;
  }
  return select(vec4<f32>(), four, at + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(HEAD_DIM));
}

fn query_four(row: u32, at: u32) -> vec4<f32> {
  if (!is_query(row) || at >= HEAD_DIM) {
    return vec4<f32>();
  }
  let i = query_row(row);
  return inside(at, vec4<f32>(
    q[place(i, at, 0u)], q[place(i, at, 1u)], q[place(i, at, 2u)], q[place(i, at, 3u)]));
}

fn key_four(key: u32, at: u32) -> vec4<f32> {
  if (key >= params.keys || at >= HEAD_DIM) {
    return vec4<f32>();
  }
  let i = key_row(key);
  return inside(at, vec4<f32>(
    k[place(i, at, 0u)], k[place(i, at, 1u)], k[place(i, at, 2u)], k[place(i, at, 3u)]));
}

fn value_four(key: u32, at: u32) -> vec4<f32> {
  if (key >= params.keys || at >= HEAD_DIM) {
    return vec4<f32>();
  }
  let i = key_row(key);
  return inside(at, vec4<f32>(
    v[place(i, at, 0u)], v[place(i, at, 1u)], v[place(i, at, 2u)], v[place(i, at, 3u)]));
}

// Scores from products of queries and keys.
fn scored(products: vec4<f32>) -> vec4<f32> {
  let scores = products * params.factor;
  if (CAPPED) {
    return vec4<f32>(
      soft_cap(scores.x, params.cap), soft_cap(scores.y, params.cap),
      soft_cap(scores.z, params.cap), soft_cap(scores.w, params.cap));
  }
  return scores;
}

// How fast scores change with the products.
fn slopes(scores: vec4<f32>) -> vec4<f32> {
  if (CAPPED) {
    let shares = scores / params.cap;
    return (1.0 - shares * shares) * params.factor;
  }
  return vec4<f32>(params.factor);
}
