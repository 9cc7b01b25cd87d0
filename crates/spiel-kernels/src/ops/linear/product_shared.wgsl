// uses: grid $a $b $product_blocks
// C (+)= A·B through workgroup memory: a workgroup owns a tile of TILE x TILE, an invocation 8 x 8 of it. Sixteen places
// along the inner dimension are staged at a time, so that four neighbours along a tile load as one vector.
const SIDE: u32 = TILE / 8u; // invocations along a side of the tile
const INVOCATIONS: u32 = SIDE * SIDE;
const VECTORS: u32 = TILE / 4u; // vectors along a side of the tile

var<workgroup> a_tile: array<vec4<f32>, 16u * VECTORS>; // [16 of k, TILE of m]
var<workgroup> b_tile: array<vec4<Element>, 16u * VECTORS>; // [16 of k, TILE of n]

@compute @workgroup_size(INVOCATIONS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let tile = grid_index(group, groups);
  let first_row = tile % params.row_tiles * TILE;
  let first_column = tile / params.row_tiles * TILE;
  if (first_column >= params.n) {
    return;
  }
  var top_left = mat4x4<f32>();
  var top_right = mat4x4<f32>();
  var bottom_left = mat4x4<f32>();
  var bottom_right = mat4x4<f32>();
  let y = local / SIDE;
  let x = local % SIDE;
  for (var first = 0u; first < params.k; first += 16u) {
    // Blocks of 4 x 4, first those of A, then those of B; four of them along k, so that neighbours read on where the
    // other stops.
    let is_whole = first + 16u <= params.k;
    for (var block = local; block < 2u * TILE; block += INVOCATIONS) {
      let vector = block % TILE / 4u;
      let inner = block % 4u * 4u;
      if (block < TILE) {
        stage_a(first_row + vector * 4u, first + inner, is_whole, inner * VECTORS + vector);
      } else {
        stage_b(first_column + vector * 4u, first + inner, is_whole, inner * VECTORS + vector);
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < 16u * VECTORS; i += VECTORS) {
      let top = a_tile[i + y];
      let bottom = a_tile[i + y + SIDE];
      let left = vec4<f32>(b_tile[i + x]);
      let right = vec4<f32>(b_tile[i + x + SIDE]);
      top_left = add_outer(top_left, top, left);
      top_right = add_outer(top_right, top, right);
      bottom_left = add_outer(bottom_left, bottom, left);
      bottom_right = add_outer(bottom_right, bottom, right);
    }
    workgroupBarrier();
  }
  let row = first_row + y * 4u;
  let column = first_column + x * 4u;
  store(row, column, top_left);
  store(row, column + 4u * SIDE, top_right);
  store(row + 4u * SIDE, column, bottom_left);
  store(row + 4u * SIDE, column + 4u * SIDE, bottom_right);
}

fn stage_a(row: u32, inner: u32, is_whole: bool, at: u32) {
  var part: mat4x4<f32>;
  if (is_whole) {
    part = a_block(row, inner);
  } else {
    part = a_edge(row, inner);
  }
  a_tile[at] = part[0];
  a_tile[at + VECTORS] = part[1];
  a_tile[at + 2u * VECTORS] = part[2];
  a_tile[at + 3u * VECTORS] = part[3];
}

fn stage_b(column: u32, inner: u32, is_whole: bool, at: u32) {
  var part: mat4x4<Element>;
  if (is_whole) {
    part = b_block(column, inner);
  } else {
    part = b_edge(column, inner);
  }
  b_tile[at] = part[0];
  b_tile[at + VECTORS] = part[1];
  b_tile[at + 2u * VECTORS] = part[2];
  b_tile[at + 3u * VECTORS] = part[3];
}
