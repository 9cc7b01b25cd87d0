use super::cpu::{AttentionInputs, block_keys, copy_head, offset, rows_of, scores_into};
use super::{Heads, Span};
use crate::math::{dot, exp};
use crate::parallel::map;
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

/// The gradients in q, k and v from `grad_out [T, H, head_dim]`, given the forward pass's output and log-sums.
///
/// Scores are computed again, block by block (Dao, arXiv 2307.08691); spans must cover every row.
pub fn attention_backward(
    inputs: AttentionInputs,
    shape: Heads,
    spans: &[Span],
    out: &[f32],
    log_sums: &[f32],
    grad_out: &[f32],
    grads: AttentionGrads,
) {
    let tasks: Vec<(Span, usize)> =
        spans.iter().flat_map(|span| (0..shape.heads).map(|head| (*span, head))).collect();
    let results = map(tasks.len(), |task| {
        let (span, head) = tasks[task];
        backward_head(inputs, shape, span, head, out, log_sums, grad_out)
    });
    grads.k.fill(0.0);
    grads.v.fill(0.0);
    for ((span, head), (grad_q, grad_k, grad_v)) in tasks.iter().zip(results) {
        copy_head(&grad_q, span.query_start, *head, shape.heads, shape.head_dim, grads.q);
        let kv_head = shape.kv_head(*head);
        add_head(&grad_k, span.key_start, kv_head, shape.kv_heads, shape.head_dim, grads.k);
        add_head(&grad_v, span.key_start, kv_head, shape.kv_heads, shape.head_dim, grads.v);
    }
}

/// One head of one span: its gradients in q, k and v, `[length, head_dim]` each.
fn backward_head(
    inputs: AttentionInputs,
    shape: Heads,
    span: Span,
    head: usize,
    out: &[f32],
    log_sums: &[f32],
    grad_out: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (width, head_dim) = (shape.query_width(), shape.head_dim);
    let mut grad_q = vec![0.0; span.query_length * head_dim];
    let mut grad_k = vec![0.0; span.key_length * head_dim];
    let mut grad_v = vec![0.0; span.key_length * head_dim];
    let (mut scores, mut grads) = (Vec::new(), Vec::new());
    for rows in span.blocks() {
        let keys = block_keys(span, shape, &rows);
        let columns = keys.len();
        scores.resize(rows.len() * columns, 0.0);
        grads.resize(rows.len() * columns, 0.0);
        scores_into(inputs, shape, span, head, &rows, &keys, &mut scores);
        let grad_rows =
            rows_of(grad_out, width, head * head_dim, head_dim, span.query_start, &rows);
        let values = inputs.values(shape, span, head, &keys);
        product(grad_rows, values.transposed(), 1.0, Output::replace(&mut grads));
        for (row, (scores, grads)) in
            scores.chunks_mut(columns).zip(grads.chunks_mut(columns)).enumerate()
        {
            let seen = offset(&span.visible(rows.start + row, shape.window), keys.start);
            let token = span.query_start + rows.start + row;
            let at = token * width + head * head_dim;
            let mean = dot(&out[at..at + head_dim], &grad_out[at..at + head_dim]);
            let log_sum = log_sums[token * shape.heads + head];
            row_backward(
                &mut scores[seen.clone()],
                &mut grads[seen.clone()],
                log_sum,
                mean,
                shape.factor(),
            );
            for masked in [0..seen.start, seen.end..columns] {
                scores[masked.clone()].fill(0.0);
                grads[masked].fill(0.0);
            }
        }
        let probabilities = Matrix::new(&scores, rows.len(), columns, columns);
        let grad_scores = Matrix::new(&grads, rows.len(), columns, columns);
        let inside = |range: &Range<usize>| range.start * head_dim..range.end * head_dim;
        let key_rows = inputs.keys(shape, span, head, &keys);
        product(grad_scores, key_rows, 1.0, Output::replace(&mut grad_q[inside(&rows)]));
        let query_rows = inputs.queries(shape, span, head, &rows);
        product(grad_scores.transposed(), query_rows, 1.0, Output::add(&mut grad_k[inside(&keys)]));
        product(
            probabilities.transposed(),
            grad_rows,
            1.0,
            Output::add(&mut grad_v[inside(&keys)]),
        );
    }
    (grad_q, grad_k, grad_v)
}

/// Turns scores into probabilities, and the gradients in the probabilities into those in q·k.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn row_backward(scores: &mut [f32], grads: &mut [f32], log_sum: f32, mean: f32, factor: f32) {
    for (score, grad) in scores.iter_mut().zip(grads) {
        *score = exp(*score - log_sum);
        *grad = *score * (*grad - mean) * factor;
    }
}

/// Adds `block [rows, width]` to head `head` of rows `first..` of `out [_, heads, width]`.
fn add_head(block: &[f32], first: usize, head: usize, heads: usize, width: usize, out: &mut [f32]) {
    for (row, block) in block.chunks(width).enumerate() {
        let out = &mut out[((first + row) * heads + head) * width..][..width];
        for (out, block) in out.iter_mut().zip(block) {
            *out += block;
        }
    }
}
