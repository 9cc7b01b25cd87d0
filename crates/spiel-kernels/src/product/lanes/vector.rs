//! A single row times a matrix, which is read once and not worth packing.

use super::super::Matrix;
use super::super::parts::each_chunk;
use crate::math::dot;
use crate::parallel::rows_per_task;
use crate::scratch::{Scratch, with_scratch};

/// Columns of a task, so that it reads whole lines of B's rows.
const LEAST_COLUMNS: usize = 64;

/// y (+)= x·B: `x [1, k]`, `B [k, n]`, `y [n]`.
pub(super) fn multiply(x: Matrix, b: Matrix, accumulate: bool, y: &mut [f32], threaded: bool) {
    if x.column_stride == 1 {
        return multiply_row(&x.data[..x.columns], b, accumulate, y, threaded);
    }
    with_scratch(Scratch::Left, x.columns, |row| {
        let row: &mut [f32] = bytemuck::cast_slice_mut(row);
        for (row, x) in row.iter_mut().zip(x.data.iter().step_by(x.column_stride)) {
            *row = *x;
        }
        multiply_row(row, b, accumulate, y, threaded);
    });
}

fn multiply_row(x: &[f32], b: Matrix, accumulate: bool, y: &mut [f32], threaded: bool) {
    let columns = rows_per_task(x.len()).max(LEAST_COLUMNS);
    each_chunk(y, columns, threaded, |task, y| {
        let first = task * columns;
        if !accumulate {
            y.fill(0.0);
        }
        if b.row_stride == 1 {
            for (column, y) in y.iter_mut().enumerate() {
                let start = (first + column) * b.column_stride;
                *y += dot(x, &b.data[start..][..x.len()]);
            }
        } else {
            for (k, x) in x.iter().enumerate() {
                add_scaled(*x, &b.data[k * b.row_stride + first..][..y.len()], y);
            }
        }
    });
}

fn add_scaled(factor: f32, row: &[f32], y: &mut [f32]) {
    for (y, row) in y.iter_mut().zip(row) {
        *y += factor * row;
    }
}
