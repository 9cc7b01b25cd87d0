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
    attention(AttentionInputs { q, k, v }, shape, spans, &mut out, &mut log_sums);
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
        let shape = Heads { heads: 4, kv_heads: 2, head_dim: 6, window };
        let spans = spans(&[1, 70, 3, 130]);
        let tokens = 204;
        let (q, k, v) = (uniform(1, tokens * 24), uniform(2, tokens * 12), uniform(3, tokens * 12));
        let (out, _) = run(&q, &k, &v, shape, &spans);
        let expected = reference(&q, &k, &v, shape, &spans);
        assert!(out.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 2e-6));
    }
}

#[test]
fn queries_at_the_end_of_a_cache_see_all_of_it() {
    let shape = Heads { heads: 2, kv_heads: 1, head_dim: 4, window: None };
    let (q, k, v) = (uniform(1, 9 * 8), uniform(2, 9 * 4), uniform(3, 9 * 4));
    let (whole, _) = run(&q, &k, &v, shape, &spans(&[9]));
    let last = Span { query_start: 0, query_length: 2, key_start: 0, key_length: 9 };
    let (tail, _) = run(&q[7 * 8..], &k, &v, shape, &[last]);
    assert!(whole[7 * 8..].iter().zip(&tail).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn backward_is_the_derivative() {
    for window in [None, Some(2)] {
        let shape = Heads { heads: 4, kv_heads: 2, head_dim: 4, window };
        let spans = spans(&[3, 1, 4]);
        let tokens = 8;
        let (q, k, v) = (uniform(1, tokens * 16), uniform(2, tokens * 8), uniform(3, tokens * 8));
        let grad_out = uniform(4, tokens * 16);
        let (out, log_sums) = run(&q, &k, &v, shape, &spans);
        let mut grads = (vec![f32::NAN; q.len()], vec![f32::NAN; k.len()], vec![f32::NAN; v.len()]);
        attention_backward(
            AttentionInputs { q: &q, k: &k, v: &v },
            shape,
            &spans,
            &out,
            &log_sums,
            &grad_out,
            AttentionGrads { q: &mut grads.0, k: &mut grads.1, v: &mut grads.2 },
        );
        let loss = |q: &[f32], k: &[f32], v: &[f32]| {
            weighted_sum(&run(q, k, v, shape, &spans).0, &grad_out)
        };
        assert_gradient("q", &q, &grads.0, |q| loss(q, &k, &v));
        assert_gradient("k", &k, &grads.1, |k| loss(&q, k, &v));
        assert_gradient("v", &v, &grads.2, |v| loss(&q, &k, v));
    }
}

#[cfg(feature = "threads")]
#[test]
fn threads_do_not_change_the_bits() {
    let shape = Heads { heads: 6, kv_heads: 2, head_dim: 8, window: Some(300) };
    let (spans, tokens) = (spans(&[1, 150, 700]), 851);
    let (q, k, v) = (uniform(1, tokens * 48), uniform(2, tokens * 16), uniform(3, tokens * 16));
    let grad_out = uniform(4, tokens * 48);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let (out, log_sums) = run(&q, &k, &v, shape, &spans);
            let mut grads = (vec![f32::NAN; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
            attention_backward(
                AttentionInputs { q: &q, k: &k, v: &v },
                shape,
                &spans,
                &out,
                &log_sums,
                &grad_out,
                AttentionGrads { q: &mut grads.0, k: &mut grads.1, v: &mut grads.2 },
            );
            (out, log_sums, grads)
        })
    };
    let one = on(1);
    assert!(one.2.0.iter().all(|grad| grad.is_finite()));
    for threads in [2, 5] {
        assert!(on(threads) == one, "{threads} threads differ");
    }
}
