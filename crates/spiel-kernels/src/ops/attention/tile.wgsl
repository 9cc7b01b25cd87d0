// Products of 64 rows with 32 columns through workgroup memory, and what such products are multiplied with. A workgroup
// is 16 x 16 invocations: one owns rows 4y to 4y + 3 and columns x and x + 16, and of results HEAD_DIM wide the entries
// 4x to 4x + 3 of every 64. The operation says what rows and columns are: `row_count` how many rows there are, `seen_by`
// the first column that belongs to a row and the end, which both never fall; `left` and `right` give four entries of
// them, zeros past the ends, of one of two operands.
const VECTORS: u32 = (HEAD_DIM + 3u) / 4u;
const CHUNK: u32 = min(8u, VECTORS); // vectors of a row that are staged at a time
const PITCH: u32 = CHUNK | 1u; // odd, so that neighbours are in different banks
const FACTORS: u32 = 512u; // where the right factor of `add_products` is staged, behind the left one

var<workgroup> staged: array<vec4<f32>, 1024>;

fn tile_count() -> u32 {
  return (row_count() + 63u) / 64u;
}

// The first column that belongs to a row of the tile, and the end.
fn seen_by_tile(first_row: u32) -> vec2<u32> {
  return vec2<u32>(seen_by(first_row).x, seen_by(min(first_row + 63u, row_count() - 1u)).y);
}

// The first columns of four rows, and the ends.
struct Seen { starts: vec4<u32>, ends: vec4<u32> }

fn seen_by_four(row: u32) -> Seen {
  let a = seen_by(row);
  let b = seen_by(row + 1u);
  let c = seen_by(row + 2u);
  let d = seen_by(row + 3u);
  return Seen(vec4<u32>(a.x, b.x, c.x, d.x), vec4<u32>(a.y, b.y, c.y, d.y));
}

// Which of the four rows a column belongs to.
fn is_seen(column: u32, by: Seen) -> vec4<bool> {
  return (vec4<u32>(column) >= by.starts) & (vec4<u32>(column) < by.ends);
}

// Four rows each of columns x and x + 16.
struct Pair { near: vec4<f32>, far: vec4<f32> }

fn products(operand: u32, first_row: u32, first_column: u32, x: u32, y: u32) -> Pair {
  var near = vec4<f32>();
  var far = vec4<f32>();
  for (var first = 0u; first < VECTORS; first += CHUNK) {
    workgroupBarrier();
    for (var i = y * 16u + x; i < 96u * CHUNK; i += 256u) {
      let line = i / CHUNK;
      let vector = i % CHUNK;
      let at = (first + vector) * 4u;
      if (line < 64u) {
        staged[line * PITCH + vector] = left(operand, first_row + line, at);
      } else {
        staged[line * PITCH + vector] = right(operand, first_column + line - 64u, at);
      }
    }
    workgroupBarrier();
    let row = y * 4u * PITCH;
    let column = (64u + x) * PITCH;
    for (var i = 0u; i < CHUNK; i++) {
      let a = staged[row + i];
      let b = staged[row + PITCH + i];
      let c = staged[row + 2u * PITCH + i];
      let d = staged[row + 3u * PITCH + i];
      let e = staged[column + i];
      let f = staged[column + 16u * PITCH + i];
      near += vec4<f32>(dot(a, e), dot(b, e), dot(c, e), dot(d, e));
      far += vec4<f32>(dot(a, f), dot(b, f), dot(c, f), dot(d, f));
    }
  }
  return Pair(near, far);
}

// Stages the left factor [64, 32] of `add_products`. What was staged before must be used up.
fn stage_factor(near: vec4<f32>, far: vec4<f32>, x: u32, y: u32) {
  staged[x * 16u + y] = near;
  staged[(x + 16u) * 16u + y] = far;
}

// Adds the staged factor times 64 entries of the columns, from `first_entry` on.
fn add_products(
  sums: mat4x4<f32>,
  operand: u32,
  first_column: u32,
  first_entry: u32,
  x: u32,
  y: u32,
) -> mat4x4<f32> {
  workgroupBarrier();
  for (var i = y * 16u + x; i < 512u; i += 256u) {
    staged[FACTORS + i] = right(operand, first_column + i / 16u, first_entry + i % 16u * 4u);
  }
  workgroupBarrier();
  var a = sums[0];
  var b = sums[1];
  var c = sums[2];
  var d = sums[3];
  for (var column = 0u; column < 512u; column += 32u) {
    let near = staged[column + y];
    let near_entries = staged[FACTORS + column + x];
    let far = staged[column + 16u + y];
    let far_entries = staged[FACTORS + column + 16u + x];
    a += near.x * near_entries + far.x * far_entries;
    b += near.y * near_entries + far.y * far_entries;
    c += near.z * near_entries + far.z * far_entries;
    d += near.w * near_entries + far.w * far_entries;
  }
  return mat4x4<f32>(a, b, c, d);
}
