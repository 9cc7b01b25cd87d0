use super::{Heads, Span};
use crate::math::{exp_shifted, max, scale};
use crate::parallel::map;
use crate::product::{Matrix, Output, product};
use std::ops::Range;

/// Queries `[T, H, head_dim]`, keys and values `[S, K, head_dim]`.
#[derive(Clone, Copy)]
pub struct AttentionInputs<'a> {
    /// The queries.
    pub q: &'a [f32],
    /// The keys.
    pub k: &'a [f32],
    /// The values.
    pub v: &'a [f32],
}

impl<'a> AttentionInputs<'a> {
    pub(super) fn queries(
        &self,
        shape: Heads,
        span: Span,
        head: usize,
        rows: &Range<usize>,
    ) -> Matrix<'a> {
        rows_of(
            self.q,
            shape.query_width(),
            head * shape.head_dim,
            shape.head_dim,
            span.query_start,
            rows,
        )
    }

    pub(super) fn keys(
        &self,
        shape: Heads,
        span: Span,
        head: usize,
        rows: &Range<usize>,
    ) -> Matrix<'a> {
        let column = shape.kv_head(head) * shape.head_dim;
        rows_of(self.k, shape.key_width(), column, shape.head_dim, span.key_start, rows)
    }

    pub(super) fn values(
        &self,
        shape: Heads,
        span: Span,
        head: usize,
        rows: &Range<usize>,
    ) -> Matrix<'a> {
        let column = shape.kv_head(head) * shape.head_dim;
        rows_of(self.v, shape.key_width(), column, shape.head_dim, span.key_start, rows)
    }
}

pub(super) fn rows_of<'a>(
    data: &'a [f32],
    width: usize,
    column: usize,
    columns: usize,
    start: usize,
    rows: &Range<usize>,
) -> Matrix<'a> {
    Matrix::new(&data[(start + rows.start) * width + column..], rows.len(), columns, width)
}

/// Writes the attention's output `[T, H, head_dim]` and each row's log-sum-exp of scores `[T, H]`.
pub fn attention(
    inputs: AttentionInputs,
    shape: Heads,
    spans: &[Span],
    out: &mut [f32],
    log_sums: &mut [f32],
) {
    let mut tasks = Vec::new();
    for span in spans {
        for rows in span.blocks() {
            tasks.extend((0..shape.heads).map(|head| (*span, head, rows.clone())));
        }
    }
    let results = map(tasks.len(), |task| {
        let (span, head, rows) = &tasks[task];
        forward_block(inputs, shape, *span, *head, rows)
    });
    for ((span, head, rows), (block, sums)) in tasks.iter().zip(results) {
        let first = span.query_start + rows.start;
        copy_head(&block, first, *head, shape.heads, shape.head_dim, out);
        copy_head(&sums, first, *head, shape.heads, 1, log_sums);
    }
}

/// One head of one block of queries: its output `[rows, head_dim]` and log-sums `[rows]`.
fn forward_block(
    inputs: AttentionInputs,
    shape: Heads,
    span: Span,
    head: usize,
    rows: &Range<usize>,
) -> (Vec<f32>, Vec<f32>) {
    let keys = block_keys(span, shape, rows);
    let width = keys.len();
    let mut scores = vec![0.0; rows.len() * width];
    scores_into(inputs, shape, span, head, rows, &keys, &mut scores);
    let mut log_sums = vec![0.0; rows.len()];
    let mut factors = vec![0.0; rows.len()];
    for (row, scores) in scores.chunks_mut(width).enumerate() {
        let seen = offset(&span.visible(rows.start + row, shape.window), keys.start);
        let shift = max(&scores[seen.clone()]);
        let sum = exp_shifted(&mut scores[seen.clone()], shift);
        scores[..seen.start].fill(0.0);
        scores[seen.end..].fill(0.0);
        log_sums[row] = shift + sum.ln();
        factors[row] = 1.0 / sum;
    }
    let mut out = vec![0.0; rows.len() * shape.head_dim];
    let probabilities = Matrix::new(&scores, rows.len(), width, width);
    product(probabilities, inputs.values(shape, span, head, &keys), 1.0, Output::replace(&mut out));
    for (out, factor) in out.chunks_mut(shape.head_dim).zip(&factors) {
        scale(out, *factor);
    }
    (out, log_sums)
}

/// The keys that any query of a block sees.
pub(super) fn block_keys(span: Span, shape: Heads, rows: &Range<usize>) -> Range<usize> {
    span.visible(rows.start, shape.window).start..span.visible(rows.end - 1, shape.window).end
}

pub(super) fn scores_into(
    inputs: AttentionInputs,
    shape: Heads,
    span: Span,
    head: usize,
    rows: &Range<usize>,
    keys: &Range<usize>,
    scores: &mut [f32],
) {
    let queries = inputs.queries(shape, span, head, rows);
    let keys = inputs.keys(shape, span, head, keys);
    product(queries, keys.transposed(), shape.factor(), Output::replace(scores));
}

pub(super) fn offset(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start - by..range.end - by
}

/// Writes `block [rows, width]` as head `head` of rows `first..` of `out [_, heads, width]`.
pub(super) fn copy_head(
    block: &[f32],
    first: usize,
    head: usize,
    heads: usize,
    width: usize,
    out: &mut [f32],
) {
    for (row, block) in block.chunks(width).enumerate() {
        out[((first + row) * heads + head) * width..][..width].copy_from_slice(block);
    }
}
