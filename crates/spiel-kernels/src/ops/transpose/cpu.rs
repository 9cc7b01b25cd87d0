use crate::columns::write_columns;
use crate::parallel::chunks_mut;

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
            let moved = (width, out.len() / width);
            write_columns(&x[task * COLUMNS..], columns, moved, out, width);
        });
    });
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
