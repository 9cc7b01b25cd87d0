//! Rows written as columns: what transposing and packing have in common.

use crate::simd::lanes::{load, store, transposed};
use crate::simd::squares::move_squares;

/// Element (r, c) of `x`, whose rows are `stride` apart, goes to (c, r) of `out`, whose rows are `width` apart: so many
/// rows and columns of x.
///
/// # Panics
/// When either side is too short.
pub(crate) fn write_columns(
    x: &[f32],
    stride: usize,
    (rows, columns): (usize, usize),
    out: &mut [f32],
    width: usize,
) {
    if rows == 0 || columns == 0 || move_squares(x, stride, (rows, columns), out, width) {
        return;
    }
    let source = |row: usize| &x[row * stride..][..columns];
    let fours = rows / 4 * 4;
    for row in (0..fours).step_by(4) {
        let rows = [source(row), source(row + 1), source(row + 2), source(row + 3)];
        write_four(rows, &mut out[row..], width);
    }
    for row in fours..rows {
        for (value, out) in source(row).iter().zip(out[row..].iter_mut().step_by(width)) {
            *out = *value;
        }
    }
}

/// Element k of row i goes to `out[k * width + i]`, four by four at a time.
fn write_four(rows: [&[f32]; 4], out: &mut [f32], width: usize) {
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<4>().0);
    for (square, (((a, b), c), d)) in a.iter().zip(b).zip(c).zip(d).enumerate() {
        let columns = transposed([load(a), load(b), load(c), load(d)]);
        for (column, lanes) in columns.into_iter().enumerate() {
            let place = &mut out[(4 * square + column) * width..].as_chunks_mut::<4>().0[0];
            store(lanes, place);
        }
    }
    let done = 4 * a.len();
    let rests = rows.map(|row| row.as_chunks::<4>().1);
    for k in 0..rests[0].len() {
        let out = &mut out[(done + k) * width..][..4];
        for (rest, value) in rests.iter().zip(out) {
            *value = rest[k];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_moves_and_no_other() {
        for (rows, columns) in [(1, 1), (4, 4), (5, 9), (8, 8), (12, 30), (33, 17), (9, 7), (0, 5)]
        {
            let (stride, width) = (columns + 3, rows + 2);
            let x: Vec<f32> = (0..rows * stride).map(|i| i as f32).collect();
            let mut out = vec![-1.0; columns * width];
            write_columns(&x, stride, (rows, columns), &mut out, width);
            for (i, value) in out.iter().enumerate() {
                let (row, column) = (i % width, i / width);
                let expected = if row < rows { x[row * stride + column] } else { -1.0 };
                assert_eq!(value.to_bits(), expected.to_bits(), "{rows}x{columns} at {i}");
            }
        }
    }
}
