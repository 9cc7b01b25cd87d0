//! How a product's result is cut into parts, and parts are done on one thread or many.

use crate::parallel;
use std::ops::Range;

/// What one task writes of C.
pub(super) struct Part<'a> {
    /// The first of its rows.
    pub(super) first_row: usize,
    /// Its columns, counted from those that were cut.
    pub(super) columns: Range<usize>,
    /// Those columns of its rows.
    pub(super) rows: Vec<&'a mut [f32]>,
}

/// Cuts these columns of C, whose rows are `stride` long, into parts that are so high and wide, or less at the ends.
pub(super) fn cut(
    c: &mut [f32],
    stride: usize,
    columns: Range<usize>,
    height: usize,
    width: usize,
) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for (block, c) in c.chunks_mut(height * stride).enumerate() {
        let first = parts.len();
        parts.extend(blocks(columns.len(), width).map(|columns| Part {
            first_row: block * height,
            columns,
            rows: Vec::with_capacity(height),
        }));
        for row in c.chunks_mut(stride) {
            let cuts = row[columns.clone()].chunks_mut(width);
            parts[first..].iter_mut().zip(cuts).for_each(|(part, cut)| part.rows.push(cut));
        }
    }
    parts
}

/// [`parallel::for_each`], or the same on this thread.
pub(super) fn each_part(parts: Vec<Part>, threaded: bool, work: impl Fn(Part) + Sync + Send) {
    if threaded {
        parallel::for_each(parts, work);
    } else {
        parts.into_iter().for_each(work);
    }
}

/// What the sizes of even blocks are multiples of, so that packing none but the last pads them.
const EVEN: usize = 32;

/// The ranges of `size`, the last perhaps shorter, that make up `0..length`.
pub(super) fn blocks(length: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(size).map(move |start| start..length.min(start + size))
}

/// The fewest ranges of at most `size` that make up `0..length`, as even as multiples of [`EVEN`] are: a short last one
/// would cost as much besides its sums as a long one.
pub(super) fn even_blocks(length: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    blocks(length, length.div_ceil(length.div_ceil(size)).next_multiple_of(EVEN))
}

/// [`parallel::chunks_mut`], or the same on this thread.
pub(super) fn each_chunk<T: Send>(
    data: &mut [T],
    size: usize,
    threaded: bool,
    work: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    if threaded {
        parallel::chunks_mut(data, size, work);
    } else {
        data.chunks_mut(size).enumerate().for_each(|(index, chunk)| work(index, chunk));
    }
}
