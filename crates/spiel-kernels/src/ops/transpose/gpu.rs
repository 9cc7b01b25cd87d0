use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work};
use std::ops::Range;

/// The block of these rows and columns of a matrix `[total_rows, total_columns]`. It is given the block's rows of x and
/// the block's columns, as rows of the output. Buffers: x, out.
#[must_use]
pub fn transpose_program(
    [total_rows, total_columns]: [usize; 2],
    rows: &Range<usize>,
    columns: &Range<usize>,
) -> Program {
    let column_tiles = columns.len().div_ceil(16);
    let block = [rows.len(), columns.len(), column_tiles];
    let places = [columns.start, total_columns, rows.start, total_rows];
    let params = block.into_iter().chain(places).map(|param| param as u32).collect();
    let groups = rows.len().div_ceil(16) * column_tiles;
    let text = include_str!("transpose.wgsl");
    let (height, width) = (rows.len(), columns.len());
    Program::new("transpose", text, &[], &[Read, ReadWrite], params, groups).doing(Work::new(
        [height, width],
        0,
        2 * height * width,
    ))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    vec![transpose_program([9, 64], &(0..9), &(0..64))]
}
