//! Dense products by packed panels, in blocks that fit caches.
//!
//! What a panel holds and how two are multiplied is a [`Tiling`]'s affair. Every element of C is summed along k in the same
//! order whatever its place and however many threads share the work.

use super::Matrix;
use super::parts::{Part, blocks, cut, each_chunk, each_part, even_blocks};
use crate::parallel;
use crate::scratch::{Scratch, with_scratch};
use std::ops::Range;

/// One operand as panels see it: `lanes` across a panel (rows of A, columns of B), `depth` along k. One of the strides is 1.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a, T> {
    pub(super) data: &'a [T],
    pub(super) lane_stride: usize,
    pub(super) depth_stride: usize,
}

/// How panels are packed and multiplied; B's elements are of type `T`.
pub(super) trait Tiling<T>: Sync {
    /// What a thread that multiplies panels must have.
    type Prepared;

    /// Rows of A in a panel.
    const ROWS: usize;
    /// Columns of B in a panel.
    const COLUMNS: usize;
    /// Steps of k in a block.
    const DEPTH: usize;
    /// Columns of a block of B, which all threads share.
    const WIDTH: usize;
    /// Rows of a block of A; also what one thread takes at a time.
    const HEIGHT: usize;

    /// Words of a packed lane of so many steps.
    fn lane_words(steps: usize) -> usize;

    /// Packs rows of A; zeros stand for those that are missing.
    fn pack_rows(
        &self,
        a: Operand<f32>,
        lanes: Range<usize>,
        depth: Range<usize>,
        panel: &mut [u32],
    );

    /// Packs columns of B; zeros stand for those that are missing.
    fn pack_columns(
        &self,
        b: Operand<T>,
        lanes: Range<usize>,
        depth: Range<usize>,
        panel: &mut [u32],
    );

    /// Multiplies two panels of so many steps and writes the part of the product that C has, or adds it: these rows, of
    /// which `columns`.
    fn multiply_panels(
        &self,
        prepared: &Self::Prepared,
        panels: (&[u32], &[u32]),
        accumulate: bool,
        rows: &mut [&mut [f32]],
        columns: Range<usize>,
    );

    /// Runs what multiplies panels on the calling thread.
    fn prepared(&self, work: impl FnOnce(&Self::Prepared));
}

/// Words that a thread packs panels into at most: as the one that begins a product, all of B's block.
pub(super) fn scratch_words<T, K: Tiling<T>>() -> usize {
    (K::HEIGHT + K::WIDTH) * K::lane_words(K::DEPTH)
}

/// Tasks that a thread should have, so that none waits long for the last.
const TASKS_PER_THREAD: usize = 4;

/// Columns that a task has at least, so that packing its rows of A is little beside multiplying them.
const LEAST_WIDTH: usize = 128;

/// C (+)= A·B for shapes that agree and have no zero.
pub(super) fn multiply<T: Copy + Sync, K: Tiling<T>>(
    tiling: &K,
    a: Matrix,
    b: Matrix<T>,
    accumulate: bool,
    c: &mut [f32],
    threaded: bool,
) {
    let operand =
        Operand { data: b.data, lane_stride: b.column_stride, depth_stride: b.row_stride };
    for columns in blocks(b.columns, K::WIDTH) {
        for depth in even_blocks(a.columns, K::DEPTH) {
            let accumulate = accumulate || depth.start > 0;
            let panel = K::COLUMNS * K::lane_words(depth.len());
            with_scratch(Scratch::Right, columns.len().div_ceil(K::COLUMNS) * panel, |packed| {
                each_chunk(packed, panel, threaded, |panel, packed| {
                    let start = columns.start + panel * K::COLUMNS;
                    let lanes = start..columns.end.min(start + K::COLUMNS);
                    tiling.pack_columns(operand, lanes, depth.clone(), packed);
                });
                let parts = parts::<T, K>(c, b.columns, &columns);
                let work = |part: Part| multiply_part(tiling, a, &depth, packed, accumulate, part);
                each_part(parts, threaded, work);
            });
        }
    }
}

/// Cuts these columns of C, whose rows are `stride` long, into blocks of rows and, where these are fewer than threads want,
/// of columns. No cut changes a sum.
fn parts<'a, T, K: Tiling<T>>(
    c: &'a mut [f32],
    stride: usize,
    columns: &Range<usize>,
) -> Vec<Part<'a>> {
    let blocks_of_rows = c.len().div_ceil(K::HEIGHT * stride);
    let wanted = (TASKS_PER_THREAD * parallel::threads()).div_ceil(blocks_of_rows);
    let width = columns.len().div_ceil(wanted).max(LEAST_WIDTH).next_multiple_of(K::COLUMNS);
    cut(c, stride, columns.clone(), K::HEIGHT, width)
}

/// Multiplies a block of A by a packed block of B into a part of C.
fn multiply_part<T, K: Tiling<T>>(
    tiling: &K,
    a: Matrix,
    depth: &Range<usize>,
    packed_b: &[u32],
    accumulate: bool,
    Part { first_row, columns, mut rows }: Part,
) {
    let operand =
        Operand { data: a.data, lane_stride: a.row_stride, depth_stride: a.column_stride };
    let words = K::lane_words(depth.len());
    let panel = K::ROWS * words;
    with_scratch(Scratch::Left, rows.len().div_ceil(K::ROWS) * panel, |packed_a| {
        for (lanes, packed) in blocks(rows.len(), K::ROWS).zip(packed_a.chunks_mut(panel)) {
            let lanes = first_row + lanes.start..first_row + lanes.end;
            tiling.pack_rows(operand, lanes, depth.clone(), packed);
        }
        tiling.prepared(|prepared| {
            let panels = packed_b[columns.start * words..].chunks(K::COLUMNS * words);
            for (right, b) in blocks(columns.len(), K::COLUMNS).zip(panels) {
                for (rows, a) in rows.chunks_mut(K::ROWS).zip(packed_a.chunks(panel)) {
                    tiling.multiply_panels(prepared, (a, b), accumulate, rows, right.clone());
                }
            }
        });
    });
}
