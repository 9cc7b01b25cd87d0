// uses: grid
// out[c, r] = x[r, c] of a block of a matrix, in tiles of 16 x 16 through workgroup memory so that reads and writes are
// both contiguous.
struct Params {
  rows: u32, columns: u32, column_tiles: u32,
  x_first: u32, x_stride: u32, // where the block begins in its rows of x, and how long these are
  out_first: u32, out_stride: u32, // the same in the output
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, x_stride]
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // [columns, out_stride]

// One more per row, so that a column does not fall on one memory bank.
var<workgroup> tile: array<f32, 272>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = grid_index(group, groups);
  let first_row = index / params.column_tiles * 16u;
  let first_column = index % params.column_tiles * 16u;
  let i = local / 16u;
  let j = local % 16u;
  if (first_row + i < params.rows && first_column + j < params.columns) {
    tile[i * 17u + j] = x[params.x_first + (first_row + i) * params.x_stride + first_column + j];
  }
  workgroupBarrier();
  if (first_column + i < params.columns && first_row + j < params.rows) {
    out[params.out_first + (first_column + i) * params.out_stride + first_row + j] = tile[j * 17u + i];
  }
}
