//! Queries side by side in the lanes of vectors: all heads that share a key head, of as many tokens as fill the sums of a
//! product.
//!
//! Scores are `[keys, lanes]`, so that the keys and values are read where they lie, none of the five products packs
//! anything, and a softmax runs down the rows, each lane by itself.

use super::{Heads, Span};
use crate::columns::write_columns;
use crate::product::Matrix;
use crate::product::cached::{TALLEST, Vector, multiply};
use crate::simd::LANES;
use std::ops::Range;

/// Lanes that a product takes at once.
const MOST: usize = 3 * LANES;

/// Keys that lanes see at once. Their scores then stay in a cache of the first level.
const KEYS: usize = 128;

/// Queries of some heads that share a key head.
#[derive(Clone)]
pub(super) struct Lanes {
    pub(super) span: Span,
    /// Query heads.
    pub(super) heads: Range<usize>,
    /// Queries, counted inside the span. Lane i has head `heads.start + i % heads.len()` of query
    /// `rows.start + i / heads.len()`.
    pub(super) rows: Range<usize>,
}

impl Lanes {
    /// Tokens whose queries, with all heads of a group, fill the lanes.
    pub(super) fn rows_at_once(shape: Heads) -> usize {
        (MOST / shape.group()).max(1)
    }

    /// All queries of a group of heads, in lanes of no more than a product takes.
    pub(super) fn all(
        span: Span,
        shape: Heads,
        kv_head: usize,
        rows: Range<usize>,
    ) -> impl Iterator<Item = Self> {
        let (group, height) = (shape.group(), Self::rows_at_once(shape));
        let first = kv_head * group;
        rows.clone().step_by(height).flat_map(move |start| {
            let rows = start..rows.end.min(start + height);
            (first..first + group).step_by(MOST).map(move |head| Self {
                span,
                heads: head..(first + group).min(head + MOST),
                rows: rows.clone(),
            })
        })
    }

    pub(super) fn count(&self) -> usize {
        self.rows.len() * self.heads.len()
    }

    /// Vectors that hold the lanes.
    pub(super) fn width(&self) -> usize {
        self.count().div_ceil(LANES)
    }

    /// Where a row of queries lies in `[T, H, width]`.
    pub(super) fn place(&self, shape: Heads, row: usize, width: usize) -> Range<usize> {
        let first = (self.span.query_start + row) * shape.heads;
        (first + self.heads.start) * width..(first + self.heads.end) * width
    }

    /// Copies the lanes' rows from `[T, H, head_dim]` to `[lanes, head_dim]`, in rows of whole vectors.
    pub(super) fn gather(&self, shape: Heads, from: &[f32], to: &mut [Vector]) {
        let d = shape.head_dim;
        let stride = shape.vectors() * LANES;
        let mut to = to.as_flattened_mut().chunks_mut(stride);
        for row in self.rows.clone() {
            for (from, to) in from[self.place(shape, row, d)].chunks(d).zip(&mut to) {
                to[..d].copy_from_slice(from);
            }
        }
    }

    /// Rows `[lanes, head_dim]` of whole vectors become columns, `[head_dim, lanes]`.
    pub(super) fn turn(&self, shape: Heads, rows: &[Vector], columns: &mut [Vector]) {
        let d = shape.head_dim;
        let stride = shape.vectors() * LANES;
        let (rows, columns) = (rows.as_flattened(), columns.as_flattened_mut());
        write_columns(rows, stride, (self.count(), d), columns, self.width() * LANES);
    }

    /// Columns `[head_dim, lanes]` become rows `[lanes, head_dim]`.
    pub(super) fn turn_back(&self, shape: Heads, columns: &[Vector], rows: &mut [f32]) {
        let columns = columns.as_flattened();
        let sizes = (shape.head_dim, self.count());
        write_columns(columns, self.width() * LANES, sizes, rows, shape.head_dim);
    }

    /// The keys among these that any of the lanes sees, and perhaps a few more so that products come out even.
    pub(super) fn seen(&self, shape: Heads, among: &Range<usize>) -> Range<usize> {
        let start = self.span.visible(self.rows.start, shape.window).start.max(among.start);
        let end = self.span.visible(self.rows.end - 1, shape.window).end;
        let even = start + end.saturating_sub(start).next_multiple_of(TALLEST);
        start..even.min(among.end).max(start)
    }

    /// The same by blocks.
    pub(super) fn seen_blocks(
        &self,
        shape: Heads,
        among: &Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> {
        let seen = self.seen(shape, among);
        seen.clone().step_by(KEYS).map(move |start| start..seen.end.min(start + KEYS))
    }

    /// Writes products `[keys, lanes]` of what the keys have, `[S, K, head_dim]`, with the lanes' columns.
    pub(super) fn score(
        &self,
        shape: Heads,
        (of_keys, keys): (&[f32], &Range<usize>),
        columns: &[Vector],
        scores: &mut Vec<Vector>,
    ) {
        let width = self.width();
        scores.resize(keys.len() * width, [0.0; LANES]);
        multiply(self.key_rows(shape, of_keys, keys), columns, scores, width, false);
    }

    /// Of what the keys have, `[S, K, head_dim]`, the rows of these keys and the lanes' key head.
    pub(super) fn key_rows<'a>(
        &self,
        shape: Heads,
        of_keys: &'a [f32],
        keys: &Range<usize>,
    ) -> Matrix<'a> {
        let kv_head = shape.kv_head(self.heads.start);
        let (width, d) = (shape.key_width(), shape.head_dim);
        let start = (self.span.key_start + keys.start) * width + kv_head * d;
        Matrix::new(&of_keys[start..], keys.len(), d, width)
    }

    /// Writes `value` for the keys of each lane that it does not see.
    pub(super) fn mask(
        &self,
        shape: Heads,
        keys: &Range<usize>,
        scores: &mut [Vector],
        value: f32,
    ) {
        let (heads, width) = (self.heads.len(), self.width());
        for (row, place) in self.rows.clone().zip((0..).step_by(heads)) {
            let seen = self.span.visible(row, shape.window);
            let before = keys.start..seen.start.clamp(keys.start, keys.end);
            let after = seen.end.clamp(keys.start, keys.end)..keys.end;
            for key in before.chain(after) {
                let scores = &mut scores[(key - keys.start) * width..][..width];
                scores.as_flattened_mut()[place..place + heads].fill(value);
            }
        }
    }
}
