use crate::math::{dot, exp, exp_shifted, max, scale};
use crate::parallel::map;
use crate::product::{Matrix, Output, product};
use multiversion::multiversion;
use std::ops::Range;

/// Queries that share one block of scores: tall enough for the products, short enough that scores stay in cache.
const QUERY_BLOCK: usize = 64;

/// The shape of grouped-query attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// H, the number of query heads.
    pub heads: usize,
    /// K, the number of key and value heads; divides H.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Positions a query sees, itself included, when not all before it.
    pub window: Option<usize>,
}

impl Heads {
    fn query_width(self) -> usize {
        self.heads * self.head_dim
    }

    fn key_width(self) -> usize {
        self.kv_heads * self.head_dim
    }

    fn kv_head(self, head: usize) -> usize {
        head / (self.heads / self.kv_heads)
    }

    fn factor(self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

/// One sequence: rows of the queries and of the keys; the last query stands at the last key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First row of the queries.
    pub query_start: usize,
    /// Number of queries, at most the number of keys.
    pub query_length: usize,
    /// First row of the keys and values.
    pub key_start: usize,
    /// Number of keys.
    pub key_length: usize,
}

impl Span {
    /// The keys that query `query` of the span sees, counted inside the span.
    fn visible(self, query: usize, window: Option<usize>) -> Range<usize> {
        let end = self.key_length - self.query_length + query + 1;
        window.map_or(0, |window| end.saturating_sub(window))..end
    }

    fn blocks(self) -> impl Iterator<Item = Range<usize>> {
        let length = self.query_length;
        (0..length)
            .step_by(QUERY_BLOCK)
            .map(move |first| first..(first + QUERY_BLOCK).min(length))
    }
}

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
    fn queries(&self, shape: Heads, span: Span, head: usize, rows: &Range<usize>) -> Matrix<'a> {
        rows_of(
            self.q,
            shape.query_width(),
            head * shape.head_dim,
            shape.head_dim,
            span.query_start,
            rows,
        )
    }

    fn keys(&self, shape: Heads, span: Span, head: usize, rows: &Range<usize>) -> Matrix<'a> {
        let column = shape.kv_head(head) * shape.head_dim;
        rows_of(
            self.k,
            shape.key_width(),
            column,
            shape.head_dim,
            span.key_start,
            rows,
        )
    }

    fn values(&self, shape: Heads, span: Span, head: usize, rows: &Range<usize>) -> Matrix<'a> {
        let column = shape.kv_head(head) * shape.head_dim;
        rows_of(
            self.v,
            shape.key_width(),
            column,
            shape.head_dim,
            span.key_start,
            rows,
        )
    }
}

fn rows_of<'a>(
    data: &'a [f32],
    width: usize,
    column: usize,
    columns: usize,
    start: usize,
    rows: &Range<usize>,
) -> Matrix<'a> {
    Matrix::new(
        &data[(start + rows.start) * width + column..],
        rows.len(),
        columns,
        width,
    )
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
    product(
        probabilities,
        inputs.values(shape, span, head, &keys),
        1.0,
        Output::replace(&mut out),
    );
    for (out, factor) in out.chunks_mut(shape.head_dim).zip(&factors) {
        scale(out, *factor);
    }
    (out, log_sums)
}

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
    let tasks: Vec<(Span, usize)> = spans
        .iter()
        .flat_map(|span| (0..shape.heads).map(|head| (*span, head)))
        .collect();
    let results = map(tasks.len(), |task| {
        let (span, head) = tasks[task];
        backward_head(inputs, shape, span, head, out, log_sums, grad_out)
    });
    grads.k.fill(0.0);
    grads.v.fill(0.0);
    for ((span, head), (grad_q, grad_k, grad_v)) in tasks.iter().zip(results) {
        copy_head(
            &grad_q,
            span.query_start,
            *head,
            shape.heads,
            shape.head_dim,
            grads.q,
        );
        let kv_head = shape.kv_head(*head);
        add_head(
            &grad_k,
            span.key_start,
            kv_head,
            shape.kv_heads,
            shape.head_dim,
            grads.k,
        );
        add_head(
            &grad_v,
            span.key_start,
            kv_head,
            shape.kv_heads,
            shape.head_dim,
            grads.v,
        );
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
        let grad_rows = rows_of(
            grad_out,
            width,
            head * head_dim,
            head_dim,
            span.query_start,
            &rows,
        );
        let values = inputs.values(shape, span, head, &keys);
        product(
            grad_rows,
            values.transposed(),
            1.0,
            Output::replace(&mut grads),
        );
        for (row, (scores, grads)) in scores
            .chunks_mut(columns)
            .zip(grads.chunks_mut(columns))
            .enumerate()
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
        product(
            grad_scores,
            key_rows,
            1.0,
            Output::replace(&mut grad_q[inside(&rows)]),
        );
        let query_rows = inputs.queries(shape, span, head, &rows);
        product(
            grad_scores.transposed(),
            query_rows,
            1.0,
            Output::add(&mut grad_k[inside(&keys)]),
        );
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

/// The keys that any query of a block sees.
fn block_keys(span: Span, shape: Heads, rows: &Range<usize>) -> Range<usize> {
    span.visible(rows.start, shape.window).start..span.visible(rows.end - 1, shape.window).end
}

fn scores_into(
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
    product(
        queries,
        keys.transposed(),
        shape.factor(),
        Output::replace(scores),
    );
}

fn offset(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start - by..range.end - by
}

/// Writes `block [rows, width]` as head `head` of rows `first..` of `out [_, heads, width]`.
fn copy_head(
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

/// Adds `block [rows, width]` to head `head` of rows `first..` of `out [_, heads, width]`.
fn add_head(block: &[f32], first: usize, head: usize, heads: usize, width: usize, out: &mut [f32]) {
    for (row, block) in block.chunks(width).enumerate() {
        let out = &mut out[((first + row) * heads + head) * width..][..width];
        for (out, block) in out.iter_mut().zip(block) {
            *out += block;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::finite_difference::{assert_gradient, weighted_sum};
    use crate::random::uniform;

    fn spans(lengths: &[usize]) -> Vec<Span> {
        let mut start = 0;
        lengths
            .iter()
            .map(|length| {
                let span = Span {
                    query_start: start,
                    query_length: *length,
                    key_start: start,
                    key_length: *length,
                };
                start += length;
                span
            })
            .collect()
    }

    fn run(q: &[f32], k: &[f32], v: &[f32], shape: Heads, spans: &[Span]) -> (Vec<f32>, Vec<f32>) {
        let mut out = vec![f32::NAN; q.len()];
        let mut log_sums = vec![f32::NAN; q.len() / shape.head_dim];
        attention(
            AttentionInputs { q, k, v },
            shape,
            spans,
            &mut out,
            &mut log_sums,
        );
        (out, log_sums)
    }

    /// The formula, one query at a time, in double precision.
    fn reference(q: &[f32], k: &[f32], v: &[f32], shape: Heads, spans: &[Span]) -> Vec<f64> {
        let (d, mut out) = (shape.head_dim, vec![0.0; q.len()]);
        for span in spans {
            for query in 0..span.query_length {
                for head in 0..shape.heads {
                    let at = ((span.query_start + query) * shape.heads + head) * d;
                    let key_at = |key: usize| {
                        ((span.key_start + key) * shape.kv_heads + shape.kv_head(head)) * d
                    };
                    let weights: Vec<(usize, f64)> = span
                        .visible(query, shape.window)
                        .map(|key| {
                            let score: f64 = (0..d)
                                .map(|i| f64::from(q[at + i]) * f64::from(k[key_at(key) + i]))
                                .sum();
                            (key, (score / (d as f64).sqrt()).exp())
                        })
                        .collect();
                    let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
                    for (key, weight) in weights {
                        for i in 0..d {
                            out[at + i] += weight / sum * f64::from(v[key_at(key) + i]);
                        }
                    }
                }
            }
        }
        out
    }

    #[test]
    fn forward_follows_the_formula() {
        for window in [None, Some(1), Some(5), Some(100)] {
            let shape = Heads {
                heads: 4,
                kv_heads: 2,
                head_dim: 6,
                window,
            };
            let spans = spans(&[1, 70, 3, 130]);
            let tokens = 204;
            let (q, k, v) = (
                uniform(1, tokens * 24),
                uniform(2, tokens * 12),
                uniform(3, tokens * 12),
            );
            let (out, _) = run(&q, &k, &v, shape, &spans);
            let expected = reference(&q, &k, &v, shape, &spans);
            assert!(
                out.iter()
                    .zip(&expected)
                    .all(|(a, b)| (f64::from(*a) - b).abs() < 2e-6)
            );
        }
    }

    #[test]
    fn queries_at_the_end_of_a_cache_see_all_of_it() {
        let shape = Heads {
            heads: 2,
            kv_heads: 1,
            head_dim: 4,
            window: None,
        };
        let (q, k, v) = (uniform(1, 9 * 8), uniform(2, 9 * 4), uniform(3, 9 * 4));
        let (whole, _) = run(&q, &k, &v, shape, &spans(&[9]));
        let last = Span {
            query_start: 0,
            query_length: 2,
            key_start: 0,
            key_length: 9,
        };
        let (tail, _) = run(&q[7 * 8..], &k, &v, shape, &[last]);
        assert!(
            whole[7 * 8..]
                .iter()
                .zip(&tail)
                .all(|(a, b)| (a - b).abs() < 1e-6)
        );
    }

    #[test]
    fn backward_is_the_derivative() {
        for window in [None, Some(2)] {
            let shape = Heads {
                heads: 4,
                kv_heads: 2,
                head_dim: 4,
                window,
            };
            let spans = spans(&[3, 1, 4]);
            let tokens = 8;
            let (q, k, v) = (
                uniform(1, tokens * 16),
                uniform(2, tokens * 8),
                uniform(3, tokens * 8),
            );
            let grad_out = uniform(4, tokens * 16);
            let (out, log_sums) = run(&q, &k, &v, shape, &spans);
            let mut grads = (
                vec![f32::NAN; q.len()],
                vec![f32::NAN; k.len()],
                vec![f32::NAN; v.len()],
            );
            attention_backward(
                AttentionInputs {
                    q: &q,
                    k: &k,
                    v: &v,
                },
                shape,
                &spans,
                &out,
                &log_sums,
                &grad_out,
                AttentionGrads {
                    q: &mut grads.0,
                    k: &mut grads.1,
                    v: &mut grads.2,
                },
            );
            let loss = |q: &[f32], k: &[f32], v: &[f32]| {
                weighted_sum(&run(q, k, v, shape, &spans).0, &grad_out)
            };
            assert_gradient("q", &q, &grads.0, |q| loss(q, &k, &v));
            assert_gradient("k", &k, &grads.1, |k| loss(&q, k, &v));
            assert_gradient("v", &v, &grads.2, |v| loss(&q, &k, v));
        }
    }
}
