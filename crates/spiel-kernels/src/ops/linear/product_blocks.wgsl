// What every tiling of a product shares: its operands in blocks of 4 x 4, of which vector i holds four rows of A or
// columns of B at place i of k, and its sums likewise: vector i is row i. B stays in its own type until it is multiplied.
struct Params {
  m: u32, n: u32, k: u32,
  a_first: u32, a_stride: u32, // where A [m, k] begins, and what lies between its lines
  b_first: u32, b_stride: u32, // B [k, n]
  c_first: u32, c_stride: u32, // C [m, n], row-major
  row_tiles: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

// Lines past the end repeat the last; their sums are not stored. All four places of k must exist.
fn a_block(row: u32, inner: u32) -> mat4x4<f32> {
  let stride = params.a_stride;
  if (A_ALONG_K) {
    let last = params.m - 1u;
    let at = params.a_first + inner;
    return transpose(mat4x4<f32>(
      a_four(at + min(row, last) * stride),
      a_four(at + min(row + 1u, last) * stride),
      a_four(at + min(row + 2u, last) * stride),
      a_four(at + min(row + 3u, last) * stride)));
  }
  let at = params.a_first + inner * stride + min(row, (params.m - 1u) / 4u * 4u);
  return mat4x4<f32>(
    a_four(at), a_four(at + stride), a_four(at + 2u * stride), a_four(at + 3u * stride));
}

// The same where k may end.
fn a_edge(row: u32, inner: u32) -> mat4x4<f32> {
  let step = select(vec2<u32>(1u, params.a_stride), vec2<u32>(params.a_stride, 1u), A_ALONG_K);
  var block: mat4x4<f32>;
  for (var i = 0u; i < 4u && inner + i < params.k; i++) {
    for (var j = 0u; j < 4u; j++) {
      let line = min(row + j, params.m - 1u);
      block[i][j] = a_one(params.a_first + line * step.x + (inner + i) * step.y);
    }
  }
  return block;
}

// Lines past the end repeat the last; their sums are not stored. All four places of k must exist.
fn b_block(column: u32, inner: u32) -> mat4x4<Element> {
  let stride = params.b_stride;
  if (B_ALONG_K) {
    let last = params.n - 1u;
    let at = params.b_first + inner;
    return transpose(mat4x4<Element>(
      b_four(at + min(column, last) * stride),
      b_four(at + min(column + 1u, last) * stride),
      b_four(at + min(column + 2u, last) * stride),
      b_four(at + min(column + 3u, last) * stride)));
  }
  let at = params.b_first + inner * stride + min(column, (params.n - 1u) / 4u * 4u);
  return mat4x4<Element>(
    b_four(at), b_four(at + stride), b_four(at + 2u * stride), b_four(at + 3u * stride));
}

// The same where k may end.
fn b_edge(column: u32, inner: u32) -> mat4x4<Element> {
  let step = select(vec2<u32>(1u, params.b_stride), vec2<u32>(params.b_stride, 1u), B_ALONG_K);
  var block: mat4x4<Element>;
  for (var i = 0u; i < 4u && inner + i < params.k; i++) {
    for (var j = 0u; j < 4u; j++) {
      let line = min(column + j, params.n - 1u);
      block[i][j] = b_one(params.b_first + line * step.x + (inner + i) * step.y);
    }
  }
  return block;
}

// Adds the products of four rows and four columns at one place of k. Values, not pointers, stay in registers.
fn add_outer(sums: mat4x4<f32>, rows: vec4<f32>, columns: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    sums[0] + rows.x * columns,
    sums[1] + rows.y * columns,
    sums[2] + rows.z * columns,
    sums[3] + rows.w * columns);
}

// Writes four rows and columns.
fn store(row: u32, column: u32, sums: mat4x4<f32>) {
  store_row(row, column, sums[0]);
  store_row(row + 1u, column, sums[1]);
  store_row(row + 2u, column, sums[2]);
  store_row(row + 3u, column, sums[3]);
}

fn store_row(row: u32, column: u32, sums: vec4<f32>) {
  if (row < params.m) {
    store_one(row, column, sums.x);
    store_one(row, column + 1u, sums.y);
    store_one(row, column + 2u, sums.z);
    store_one(row, column + 3u, sums.w);
  }
}

fn store_one(row: u32, column: u32, sum: f32) {
  if (column < params.n) {
    let at = params.c_first + row * params.c_stride + column;
    if (ACCUMULATE) {
      c[at] += sum;
    } else {
      c[at] = sum;
    }
  }
}
