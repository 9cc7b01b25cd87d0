use super::cpu::{AttentionInputs, block_keys, offset, rows_of, scores_into};
use super::layout::{interleave_all, regions};
use super::{Heads, Span};
use crate::math::{dot, exp};
use crate::parallel::{chunks_mut2, for_each_with, threads};
use crate::product::{Matrix, Output, product};
use multiversion::multiversion;
use std::ops::Range;

/// Gradients that [`attention_backward`] writes, in the shapes of the inputs.
pub struct AttentionGrads<'a> {
    /// In the queries.
    pub q: &'a mut [f32],
    /// In the keys.
    pub k: &'a mut [f32],
    /// In the values.
    pub v: &'a mut [f32],
}

/// Keys whose gradients one task sums: enough for a product, few enough that a long block of scores feeds all threads.
const KEY_BLOCK: usize = 256;
/// Columns of scores that the heads of a group hold together, in whole blocks of keys. The scores of a block of queries
/// then take 2 MiB at any length of the sequence; only groups of over 16 heads take more, a block of keys for each.
const COLUMNS: usize = 4096;

/// What the forward pass left, and the gradient that comes back.
#[derive(Clone, Copy)]
struct Pass<'a> {
    inputs: AttentionInputs<'a>,
    shape: Heads,
    out: &'a [f32],
    log_sums: &'a [f32],
    grad_out: &'a [f32],
}

/// The query heads of one span that share a key head, and where their gradients go, head by head.
struct Group<'a> {
    span: Span,
    kv_head: usize,
    /// `[heads of the group, queries, head_dim]`.
    q: &'a mut [f32],
    /// `[keys, head_dim]`.
    k: &'a mut [f32],
    /// `[keys, head_dim]`.
    v: &'a mut [f32],
}

/// One head's probabilities of a block of queries, and the gradients in its scores: `[rows, keys]`.
#[derive(Clone, Default)]
struct Scores {
    probabilities: Vec<f32>,
    grads: Vec<f32>,
}

/// The gradients in q, k and v from `grad_out [T, H, head_dim]`, given the forward pass's output and log-sums.
///
/// Scores are computed again, block by block (Dao, arXiv 2307.08691), with no more memory than a few blocks for each
/// thread. Spans must lie in ascending order and cover every row.
pub fn attention_backward(
    inputs: AttentionInputs,
    shape: Heads,
    spans: &[Span],
    out: &[f32],
    log_sums: &[f32],
    grad_out: &[f32],
    grads: AttentionGrads,
) {
    let AttentionGrads { q, k, v } = grads;
    let pass = Pass { inputs, shape, out, log_sums, grad_out };
    let (query_width, key_width) = (shape.query_width(), shape.key_width());
    let mut groups = Vec::new();
    let regions_q = regions(&mut *q, spans, Span::query_rows, query_width);
    let regions_k = regions(&mut *k, spans, Span::key_rows, key_width);
    let regions_v = regions(&mut *v, spans, Span::key_rows, key_width);
    for (((span, q), k), v) in spans.iter().zip(regions_q).zip(regions_k).zip(regions_v) {
        let heads = q
            .chunks_mut(q.len() / shape.kv_heads)
            .zip(k.chunks_mut(span.key_length * shape.head_dim))
            .zip(v.chunks_mut(span.key_length * shape.head_dim));
        groups.extend(heads.enumerate().map(|(kv_head, ((q, k), v))| Group {
            span: *span,
            kv_head,
            q,
            k,
            v,
        }));
    }
    let mut scratches =
        vec![vec![Scores::default(); shape.heads / shape.kv_heads]; threads().min(groups.len())];
    for_each_with(groups, &mut scratches, |group, scores| backward_group(pass, group, scores));
    for (grad, rows, heads) in [
        (q, Span::query_rows as fn(&Span) -> _, shape.heads),
        (k, Span::key_rows, shape.kv_heads),
        (v, Span::key_rows, shape.kv_heads),
    ] {
        let regions = regions(grad, spans, rows, heads * shape.head_dim);
        interleave_all(regions, heads, shape.head_dim);
    }
}

/// Keys that a group of `heads` heads goes through together.
pub(super) fn keys_at_once(heads: usize) -> usize {
    (COLUMNS / heads / KEY_BLOCK).max(1) * KEY_BLOCK
}

/// Goes through the blocks of queries, and for each through the keys that they see, as many at once as `all` may hold.
fn backward_group(pass: Pass, mut group: Group, all: &mut [Scores]) {
    let keys_at_once = keys_at_once(all.len());
    group.k.fill(0.0);
    group.v.fill(0.0);
    for rows in group.span.blocks() {
        let seen = block_keys(group.span, pass.shape, &rows);
        for first in seen.clone().step_by(keys_at_once) {
            let keys = first..seen.end.min(first + keys_at_once);
            backward_block(pass, &mut group, &rows, &keys, first > seen.start, all);
        }
    }
}

/// Every head of the group in turn adds to the gradients in its keys and values, in a fixed order. Those in its queries
/// are replaced, or added to.
fn backward_block(
    pass: Pass,
    group: &mut Group,
    rows: &Range<usize>,
    keys: &Range<usize>,
    accumulate: bool,
    all: &mut [Scores],
) {
    let Pass { inputs, shape, .. } = pass;
    let Group { span, kv_head, q, k, v } = group;
    let (span, head_dim, first_head) = (*span, shape.head_dim, *kv_head * all.len());
    let queries = (&mut **q, span.query_length * head_dim);
    chunks_mut2((&mut *all, 1), queries, |number, scores, grad_q| {
        let grad_q = &mut grad_q[rows.start * head_dim..rows.end * head_dim];
        let grad_q = if accumulate { Output::add(grad_q) } else { Output::replace(grad_q) };
        backward_scores(pass, span, first_head + number, rows, keys, &mut scores[0], grad_q);
    });
    let inside = keys.start * head_dim..keys.end * head_dim;
    let (k, v) = (&mut k[inside.clone()], &mut v[inside]);
    chunks_mut2((k, KEY_BLOCK * head_dim), (v, KEY_BLOCK * head_dim), |task, k, v| {
        let (first, count) = (task * KEY_BLOCK, k.len() / head_dim);
        let part = |scores| columns_of(scores, rows.len(), keys.len(), first, count);
        for (number, scores) in all.iter().enumerate() {
            let query_rows = inputs.queries(shape, span, first_head + number, rows);
            product(part(&scores.grads).transposed(), query_rows, 1.0, Output::add(k));
            let grad_rows = pass.grad_rows(span, first_head + number, rows);
            product(part(&scores.probabilities).transposed(), grad_rows, 1.0, Output::add(v));
        }
    });
}

/// Columns `first..first + count` of a row-major matrix.
fn columns_of(data: &[f32], rows: usize, width: usize, first: usize, count: usize) -> Matrix<'_> {
    Matrix::new(&data[first..], rows, count, width)
}

impl<'a> Pass<'a> {
    /// A head's rows of the gradient that comes back.
    fn grad_rows(&self, span: Span, head: usize, rows: &Range<usize>) -> Matrix<'a> {
        let (width, head_dim) = (self.shape.query_width(), self.shape.head_dim);
        rows_of(self.grad_out, width, head * head_dim, head_dim, span.query_start, rows)
    }
}

/// One head of one block of queries and keys: its probabilities, the gradients in its scores and in its queries.
fn backward_scores(
    pass: Pass,
    span: Span,
    head: usize,
    rows: &Range<usize>,
    keys: &Range<usize>,
    scores: &mut Scores,
    grad_q: Output,
) {
    let Pass { inputs, shape, out, log_sums, grad_out } = pass;
    let (width, head_dim, columns) = (shape.query_width(), shape.head_dim, keys.len());
    let Scores { probabilities, grads } = scores;
    probabilities.resize(rows.len() * columns, 0.0);
    grads.resize(rows.len() * columns, 0.0);
    scores_into(inputs, shape, span, head, rows, keys, probabilities);
    let values = inputs.values(shape, span, head, keys);
    let grad_rows = pass.grad_rows(span, head, rows);
    product(grad_rows, values.transposed(), 1.0, Output::replace(grads));
    let both = probabilities.chunks_mut(columns).zip(grads.chunks_mut(columns));
    for (row, (probabilities, grads)) in both.enumerate() {
        let seen = span.visible(rows.start + row, shape.window);
        let seen = seen.start.clamp(keys.start, keys.end)..seen.end.clamp(keys.start, keys.end);
        let seen = offset(&seen, keys.start);
        let token = span.query_start + rows.start + row;
        let at = token * width + head * head_dim;
        let mean = dot(&out[at..at + head_dim], &grad_out[at..at + head_dim]);
        let log_sum = log_sums[token * shape.heads + head];
        let (chances, changes) = (&mut probabilities[seen.clone()], &mut grads[seen.clone()]);
        row_backward(chances, changes, log_sum, mean, shape);
        for masked in [0..seen.start, seen.end..columns] {
            probabilities[masked.clone()].fill(0.0);
            grads[masked].fill(0.0);
        }
    }
    let key_rows = inputs.keys(shape, span, head, keys);
    let grad_scores = columns_of(grads, rows.len(), columns, 0, columns);
    product(grad_scores, key_rows, 1.0, grad_q);
}

/// Turns scores into probabilities, and the gradients in the probabilities into those in q·k.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn row_backward(scores: &mut [f32], grads: &mut [f32], log_sum: f32, mean: f32, shape: Heads) {
    let factor = shape.factor;
    if let Some(cap) = shape.soft_cap {
        for (score, grad) in scores.iter().zip(&mut *grads) {
            let share = *score / cap;
            *grad = (*grad - mean) * (1.0 - share * share);
        }
        for (score, grad) in scores.iter_mut().zip(grads) {
            *score = exp(*score - log_sum);
            *grad = *score * *grad * factor;
        }
        return;
    }
    for (score, grad) in scores.iter_mut().zip(grads) {
        *score = exp(*score - log_sum);
        *grad = *score * (*grad - mean) * factor;
    }
}
