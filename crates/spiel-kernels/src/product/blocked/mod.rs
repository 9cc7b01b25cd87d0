//! The dense product of WebAssembly: packed panels, blocks that fit caches, and a tile in registers.
//!
//! Every element of C is summed along k in the same order whatever its place and however many threads share the work.

mod pack;
mod simd;
mod tile;
mod vector;

use super::{Matrix, Output};
use crate::parallel;
use pack::Operand;
use std::cell::Cell;
use std::ops::Range;
use tile::{COLUMNS, Finish, ROWS, multiply_panels};

/// Steps of k in a block: one panel of B then takes 8 KiB of the first-level cache.
const DEPTH: usize = 256;

/// Columns of a block of B, which takes 1 MiB of a shared cache.
const WIDTH: usize = 1024;

/// Rows of a block of A, 32 KiB; also what one thread takes at a time.
const HEIGHT: usize = 32;

thread_local! {
    /// Packed blocks of A and B, kept so that no product allocates once the largest has run.
    static SCRATCH: [Cell<Vec<f32>>; 2] = const { [const { Cell::new(Vec::new()) }; 2] };
}

/// Frees the packed blocks of this thread.
#[cfg(not(feature = "native-gemm"))]
pub(super) fn free_scratch() {
    SCRATCH.with(|scratch| scratch.iter().for_each(|kept| drop(kept.take())));
}

/// Runs `work` with a scratch of at least `size` elements of this thread.
///
/// The scratch is taken and put back, so a product that begins inside another has one of its own.
fn with_scratch<T>(which: usize, size: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut scratch = SCRATCH.with(|scratch| scratch[which].take());
    if scratch.len() < size {
        scratch.resize(size, 0.0);
    }
    let result = work(&mut scratch[..size]);
    SCRATCH.with(|kept| kept[which].set(scratch));
    result
}

/// C (+)= factor · A·B for shapes that agree and have no zero.
pub(super) fn product(a: Matrix, b: Matrix, factor: f32, c: Output, threaded: bool) {
    let (rows, columns) = (a.rows, b.columns);
    let finish = Finish { factor, accumulate: c.accumulate };
    let c = &mut c.data[..rows * columns];
    if rows == 1 {
        vector::multiply(a, b, finish, c, threaded);
    } else if columns == 1 {
        vector::multiply(b.transposed(), a.transposed(), finish, c, threaded);
    } else {
        multiply(a, b, finish, c, threaded);
    }
}

fn multiply(a: Matrix, b: Matrix, finish: Finish, c: &mut [f32], threaded: bool) {
    let stride = b.columns;
    for depth in blocks(a.columns, DEPTH) {
        let accumulate = finish.accumulate || depth.start > 0;
        let finish = Finish { accumulate, ..finish };
        for columns in blocks(b.columns, WIDTH) {
            let size = columns.len().next_multiple_of(COLUMNS) * depth.len();
            with_scratch(1, size, |packed| {
                let operand = columns_of(b);
                each_chunk(packed, COLUMNS * depth.len(), threaded, |panel, packed| {
                    let start = columns.start + panel * COLUMNS;
                    let lanes = start..columns.end.min(start + COLUMNS);
                    operand.pack::<COLUMNS>(lanes, depth.clone(), packed);
                });
                each_chunk(c, HEIGHT * stride, threaded, |block, c| {
                    let start = block * HEIGHT;
                    let rows = start..a.rows.min(start + HEIGHT);
                    multiply_rows(a, rows, &depth, packed, finish, c, (columns.clone(), stride));
                });
            });
        }
    }
}

/// Multiplies a block of A by a packed block of B into the rows of C.
fn multiply_rows(
    a: Matrix,
    rows: Range<usize>,
    depth: &Range<usize>,
    packed_b: &[f32],
    finish: Finish,
    c: &mut [f32],
    (columns, stride): (Range<usize>, usize),
) {
    let panel = ROWS * depth.len();
    with_scratch(0, rows.len().div_ceil(ROWS) * panel, |packed_a| {
        for (lanes, packed) in blocks(rows.len(), ROWS).zip(packed_a.chunks_mut(panel)) {
            let lanes = rows.start + lanes.start..rows.start + lanes.end;
            rows_of(a).pack::<ROWS>(lanes, depth.clone(), packed);
        }
        let panels = packed_b.chunks(COLUMNS * depth.len());
        for (right, b) in blocks(columns.len(), COLUMNS).zip(panels) {
            for (down, a) in blocks(rows.len(), ROWS).zip(packed_a.chunks(panel)) {
                let c = &mut c[down.start * stride + columns.start + right.start..];
                multiply_panels(a, b, finish, c, (down.len(), right.len(), stride));
            }
        }
    });
}

fn rows_of(a: Matrix) -> Operand {
    Operand { data: a.data, lane_stride: a.row_stride, depth_stride: a.column_stride }
}

fn columns_of(b: Matrix) -> Operand {
    Operand { data: b.data, lane_stride: b.column_stride, depth_stride: b.row_stride }
}

/// The ranges of `size`, the last perhaps shorter, that make up `0..length`.
fn blocks(length: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(size).map(move |start| start..length.min(start + size))
}

/// [`parallel::chunks_mut`], or the same on this thread.
fn each_chunk(
    data: &mut [f32],
    size: usize,
    threaded: bool,
    work: impl Fn(usize, &mut [f32]) + Sync + Send,
) {
    if threaded {
        parallel::chunks_mut(data, size, work);
    } else {
        data.chunks_mut(size).enumerate().for_each(|(index, chunk)| work(index, chunk));
    }
}
