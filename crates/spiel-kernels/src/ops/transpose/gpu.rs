use crate::program::Access::{Read, ReadWrite};
use crate::program::Program;

/// Buffers: x, out.
#[must_use]
pub fn transpose_program(rows: usize, columns: usize) -> Program {
    let column_tiles = columns.div_ceil(16);
    let params = vec![rows as u32, columns as u32, column_tiles as u32];
    let groups = rows.div_ceil(16) * column_tiles;
    let text = include_str!("transpose.wgsl");
    Program::new("transpose", text, &[], &[Read, ReadWrite], params, groups)
}
