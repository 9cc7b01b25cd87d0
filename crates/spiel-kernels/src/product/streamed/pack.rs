//! What a strip of A and a panel of B are copied into.

use super::super::Matrix;
use super::super::parts::blocks;
use super::tile::{COLUMNS, STRIDE, Strip};
use crate::columns::write_columns;
use crate::simd::instructions::Instructions;
use std::ops::Range;

/// Copies these rows of A, and these steps of them, to the first rows of a strip. The others, up to so many as a tile has,
/// become zeros, since what is left there may be denormal, which some CPUs multiply slowly.
#[inline(always)]
pub(super) fn rows(
    a: Matrix,
    rows: Range<usize>,
    height: usize,
    depth: &Range<usize>,
    strip: &mut Strip,
) {
    strip[rows.len()..height].iter_mut().for_each(|row| row[..depth.len()].fill(0.0));
    if a.column_stride == 1 {
        for (row, strip) in rows.zip(strip) {
            strip[..depth.len()]
                .copy_from_slice(&a.data[row * a.row_stride + depth.start..][..depth.len()]);
        }
    } else {
        debug_assert_eq!(a.row_stride, 1, "one of the strides is 1");
        let x = &a.data[depth.start * a.column_stride + rows.start..];
        write_columns(
            x,
            a.column_stride,
            (depth.len(), rows.len()),
            strip.as_flattened_mut(),
            STRIDE,
        );
    }
}

/// What a product's second factor is packed from.
pub(crate) trait Columns: Copy + Sync {
    /// Its rows, which are steps of k, and its columns.
    fn shape(&self) -> (usize, usize);

    /// Columns are packed from a multiple of so many.
    fn unit(&self) -> usize;

    /// Floats that packing so many columns and steps takes beside the panels.
    fn scratch(columns: usize, depth: usize) -> usize;

    /// Writes these columns to panels `[k, 32]`. Those that the last panel lacks are zeros before.
    fn pack(
        &self,
        instructions: impl Instructions,
        columns: Range<usize>,
        depth: &Range<usize>,
        scratch: &mut [f32],
        panels: &mut [f32],
    );
}

impl Columns for Matrix<'_> {
    fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    fn unit(&self) -> usize {
        1
    }

    fn scratch(_columns: usize, _depth: usize) -> usize {
        0
    }

    #[inline(always)]
    fn pack(
        &self,
        _instructions: impl Instructions,
        columns: Range<usize>,
        depth: &Range<usize>,
        _scratch: &mut [f32],
        panels: &mut [f32],
    ) {
        if self.column_stride == 1 {
            for (step, k) in depth.clone().enumerate() {
                let row = &self.data[k * self.row_stride + columns.start..][..columns.len()];
                write_step(row, step, depth.len(), panels);
            }
        } else {
            debug_assert_eq!(self.row_stride, 1, "one of the strides is 1");
            let panels = panels.chunks_mut(depth.len() * COLUMNS);
            for (lanes, panel) in blocks(columns.len(), COLUMNS).zip(panels) {
                let x =
                    &self.data[(columns.start + lanes.start) * self.column_stride + depth.start..];
                write_columns(x, self.column_stride, (lanes.len(), depth.len()), panel, COLUMNS);
            }
        }
    }
}

/// Writes one of so many steps of all panels.
#[inline(always)]
pub(super) fn write_step(row: &[f32], step: usize, steps: usize, panels: &mut [f32]) {
    for (number, row) in row.chunks(COLUMNS).enumerate() {
        let out = &mut panels[(number * steps + step) * COLUMNS..][..COLUMNS];
        match row.first_chunk::<COLUMNS>() {
            Some(row) => out.copy_from_slice(row),
            None => out[..row.len()].copy_from_slice(row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tile::TALLEST;
    use super::*;

    #[test]
    fn rows_that_are_not_there_are_zeros() {
        let numbers: Vec<f32> = (0..40).map(|i| i as f32).collect();
        let by_rows = Matrix::new(&numbers, 4, 10, 10);
        for a in [by_rows, Matrix::new(&numbers, 10, 4, 4).transposed()] {
            let mut left = vec![[f32::NAN; STRIDE]; TALLEST];
            let strip: &mut Strip = (&mut left[..]).try_into().unwrap();
            rows(a, 1..4, 6, &(2..9), strip);
            for (row, strip) in strip.iter().enumerate() {
                let number =
                    |k: usize| numbers[(row + 1) * a.row_stride + (2 + k) * a.column_stride];
                let of_row: [f32; 7] = match row {
                    0..3 => std::array::from_fn(number),
                    3..6 => [0.0; 7],
                    _ => [f32::NAN; 7],
                };
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&strip[..7]), bits(&of_row), "{row}");
                assert!(strip[7..].iter().all(|rest| rest.is_nan()));
            }
        }
    }
}
