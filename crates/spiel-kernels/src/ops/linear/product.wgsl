// uses: grid
// C (+)= A·B in tiles of 64 x 64: a workgroup owns a tile, an invocation 4 x 4 of it. Tiles of A and B pass through
// workgroup memory, 16 along the inner dimension at a time, stored so that four neighbours load as one vector.
struct Params {
  m: u32, n: u32, k: u32,
  a_first: u32, a_row: u32, a_column: u32, // where A [m, k] begins, and its strides
  b_first: u32, b_row: u32, b_column: u32, // B [k, n]
  c_first: u32, c_row: u32, // C [m, n], whose rows are contiguous
  row_tiles: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

var<workgroup> a_tile: array<vec4<f32>, 256>; // [16 of k, 64 of m]
var<workgroup> b_tile: array<vec4<f32>, 256>; // [16 of k, 64 of n]

fn load_a(row: u32, inner: u32) -> f32 {
  if (row < params.m && inner < params.k) {
    return a[params.a_first + row * params.a_row + inner * params.a_column];
  }
  return 0.0;
}

fn load_b(inner: u32, column: u32) -> f32 {
  if (inner < params.k && column < params.n) {
    return b[params.b_first + inner * params.b_row + column * params.b_column];
  }
  return 0.0;
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let tile = grid_index(group, groups);
  let first_row = tile % params.row_tiles * 64u;
  let first_column = tile / params.row_tiles * 64u;
  if (first_column >= params.n) {
    return;
  }
  var sums: array<vec4<f32>, 4>;
  let inner = local / 16u;
  let lane = local % 16u;
  for (var first = 0u; first < params.k; first += 16u) {
    let row = first_row + lane * 4u;
    let column = first_column + lane * 4u;
    let at = first + inner;
    a_tile[local] =
      vec4<f32>(load_a(row, at), load_a(row + 1u, at), load_a(row + 2u, at), load_a(row + 3u, at));
    b_tile[local] = vec4<f32>(
      load_b(at, column), load_b(at, column + 1u), load_b(at, column + 2u), load_b(at, column + 3u));
    workgroupBarrier();
    for (var i = 0u; i < 16u; i++) {
      let x = a_tile[i * 16u + inner];
      let y = b_tile[i * 16u + lane];
      sums[0] += x.x * y;
      sums[1] += x.y * y;
      sums[2] += x.z * y;
      sums[3] += x.w * y;
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 4u; i++) {
    let row = first_row + inner * 4u + i;
    for (var j = 0u; j < 4u; j++) {
      let column = first_column + lane * 4u + j;
      if (row < params.m && column < params.n) {
        let at = params.c_first + row * params.c_row + column;
        if (ACCUMULATE) {
          c[at] += sums[i][j];
        } else {
          c[at] = sums[i][j];
        }
      }
    }
  }
}
