use super::layout::{interleave_all, regions};
use super::{Heads, QUERY_BLOCK, Span};
use crate::math::{exp_shifted, max, scale, soft_cap};
use crate::parallel::for_each;
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

/// One head of one block of queries, and where its results go.
struct Block<'a> {
    span: Span,
    head: usize,
    rows: Range<usize>,
    /// `[rows, head_dim]`.
    out: &'a mut [f32],
    /// `[rows]`.
    log_sums: &'a mut [f32],
}

/// Writes the attention's output `[T, H, head_dim]` and each row's log-sum-exp of scores `[T, H]`.
///
/// Spans must lie in ascending order; rows outside them stay as they are.
pub fn attention(
    inputs: AttentionInputs,
    shape: Heads,
    spans: &[Span],
    out: &mut [f32],
    log_sums: &mut [f32],
) {
    let outputs = regions(out, spans, Span::query_rows, shape.query_width());
    let sums = regions(log_sums, spans, Span::query_rows, shape.heads);
    let mut blocks = Vec::new();
    for ((span, out), sums) in spans.iter().zip(outputs).zip(sums) {
        let length = span.query_length;
        let heads = out.chunks_mut(length * shape.head_dim).zip(sums.chunks_mut(length));
        for (head, (out, sums)) in heads.enumerate() {
            let results =
                out.chunks_mut(QUERY_BLOCK * shape.head_dim).zip(sums.chunks_mut(QUERY_BLOCK));
            blocks.extend(span.blocks().zip(results).map(|(rows, (out, log_sums))| Block {
                span: *span,
                head,
                rows,
                out,
                log_sums,
            }));
        }
    }
    for_each(blocks, |block| forward_block(inputs, shape, block));
    let outputs = regions(out, spans, Span::query_rows, shape.query_width());
    interleave_all(outputs, shape.heads, shape.head_dim);
    interleave_all(regions(log_sums, spans, Span::query_rows, shape.heads), shape.heads, 1);
}

fn forward_block(inputs: AttentionInputs, shape: Heads, block: Block) {
    let Block { span, head, rows, out, log_sums } = block;
    let keys = block_keys(span, shape, &rows);
    let width = keys.len();
    let mut scores = vec![0.0; rows.len() * width];
    scores_into(inputs, shape, span, head, &rows, &keys, &mut scores);
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
    let probabilities = Matrix::new(&scores, rows.len(), width, width);
    product(probabilities, inputs.values(shape, span, head, &keys), 1.0, Output::replace(out));
    for (out, factor) in out.chunks_mut(shape.head_dim).zip(&factors) {
        scale(out, *factor);
    }
}

/// The keys that any query of a block sees.
pub(super) fn block_keys(span: Span, shape: Heads, rows: &Range<usize>) -> Range<usize> {
    span.visible(rows.start, shape.window).start..span.visible(rows.end - 1, shape.window).end
}

/// Writes the scores `[rows, keys]` of one head, those of masked keys too.
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
    product(queries, keys.transposed(), shape.factor, Output::replace(scores));
    if let Some(cap) = shape.soft_cap {
        soft_cap(scores, cap);
    }
}

pub(super) fn offset(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start - by..range.end - by
}
