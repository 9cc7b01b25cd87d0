use super::squares::move_squares;
use crate::columns::write_columns;
use crate::parallel::chunks_mut;
use std::ops::Range;

/// Columns of `x` that one task moves.
const COLUMNS: usize = 64;

/// Transposes every block of `block` rows by itself, one after the other: element (r, c) of `x [rows, columns]` goes to
/// row c, column r of `[columns, block]` in its block's part of `out`. The last block may be shorter.
///
/// Rows of a short block lie close together, where those of a whole transpose would be `rows` apart and share few sets of
/// a cache.
pub fn transpose_blocks(x: &[f32], rows: usize, columns: usize, block: usize, out: &mut [f32]) {
    let out = &mut out[..rows * columns];
    chunks_mut(out, (block * columns).max(1), |number, out| {
        let width = out.len() / columns;
        let x = &x[number * block * columns..][..out.len()];
        chunks_mut(out, COLUMNS * width, |task, out| {
            move_columns(&x[task * COLUMNS..], columns, width, out);
        });
    });
}

/// Writes the first columns of `x`, whose `width` rows are `stride` apart, as rows of `out`, as many as it holds.
fn move_columns(x: &[f32], stride: usize, width: usize, out: &mut [f32]) {
    let columns = out.len() / width;
    let (rows, moved) = move_squares(x, stride, width, out);
    let region = Region { x, stride, width };
    region.write(0..rows, moved..columns, out);
    region.write(rows..width, 0..columns, out);
}

/// Rows of `x`, `width` of them and `stride` apart.
struct Region<'a> {
    x: &'a [f32],
    stride: usize,
    width: usize,
}

impl Region<'_> {
    /// Writes these rows and columns as columns and rows of `out`.
    fn write(&self, rows: Range<usize>, columns: Range<usize>, out: &mut [f32]) {
        if columns.is_empty() {
            return;
        }
        let source = |row: usize| &self.x[row * self.stride + columns.start..][..columns.len()];
        let out = &mut out[columns.start * self.width..];
        let fours = rows.start + rows.len() / 4 * 4;
        for row in (rows.start..fours).step_by(4) {
            let rows = [source(row), source(row + 1), source(row + 2), source(row + 3)];
            write_columns(rows, &mut out[row..], self.width);
        }
        for row in fours..rows.end {
            for (value, out) in source(row).iter().zip(out[row..].iter_mut().step_by(self.width)) {
                *out = *value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_moves() {
        for (rows, columns) in [(1, 1), (5, 70), (70, 5), (64, 33), (100, 100), (0, 3), (3, 0)] {
            let x: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            for block in [1, 7, 64, 200] {
                let mut out = vec![-1.0; rows * columns];
                transpose_blocks(&x, rows, columns, block, &mut out);
                for i in 0..rows * columns {
                    let (row, column) = (i / columns, i % columns);
                    let first = row / block * block;
                    let width = block.min(rows - first);
                    let at = first * columns + column * width + row - first;
                    assert_eq!(out[at].to_bits(), x[i].to_bits(), "{rows}x{columns} by {block}");
                }
            }
        }
    }
}
