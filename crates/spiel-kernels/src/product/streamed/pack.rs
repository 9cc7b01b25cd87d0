//! What a strip of A and a panel of B are copied into.

use super::super::Matrix;
use super::super::blocked::blocks;
use super::tile::{COLUMNS, STRIDE, Strip};
use crate::columns::write_columns;
use crate::simd::instructions::Instructions;
use std::ops::Range;

/// Copies these rows of A, and these steps of them, to the first rows of a strip. The others become zeros, since what is
/// left there may be denormal, which some CPUs multiply slowly.
#[inline(always)]
pub(super) fn rows(a: Matrix, rows: Range<usize>, depth: &Range<usize>, strip: &mut Strip) {
    strip[rows.len()..].iter_mut().for_each(|row| row[..depth.len()].fill(0.0));
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
