// uses: grid
// out[c, r] = x[r, c], in tiles of 16 x 16 through workgroup memory so that reads and writes are both contiguous.
struct Params { rows: u32, columns: u32, column_tiles: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, columns]
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // [columns, rows]

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
    tile[i * 17u + j] = x[(first_row + i) * params.columns + first_column + j];
  }
  workgroupBarrier();
  if (first_column + i < params.columns && first_row + j < params.rows) {
    out[(first_column + i) * params.rows + first_row + j] = tile[j * 17u + i];
  }
}
