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

/// What a query makes of a key that it sees.
struct Seen {
    /// Where the key's row begins.
    key: usize,
    /// Its share of the query's attention.
    share: f64,
    /// How fast its score changes with the product of the two.
    slope: f64,
}

/// Of each query and head in double precision: where its row begins, and every key that it sees.
fn shares(q: &[f32], k: &[f32], shape: Heads, spans: &[Span]) -> Vec<(usize, Vec<Seen>)> {
    let (d, factor, mut all) = (shape.head_dim, f64::from(shape.factor), Vec::new());
    for span in spans {
        for (query, head) in
            (0..span.query_length).flat_map(|query| (0..shape.heads).map(move |head| (query, head)))
        {
            let at = ((span.query_start + query) * shape.heads + head) * d;
            let mut seen: Vec<Seen> = span
                .visible(query, shape.window)
                .map(|key| {
                    let key = ((span.key_start + key) * shape.kv_heads + shape.kv_head(head)) * d;
                    let product = (0..d).map(|i| f64::from(q[at + i]) * f64::from(k[key + i]));
                    let score = product.sum::<f64>() * factor;
                    let (score, slope) =
                        shape.soft_cap.map(f64::from).map_or((score, 1.0), |cap| {
                            let share = (score / cap).tanh();
                            (cap * share, 1.0 - share * share)
                        });
                    Seen { key, share: score.exp(), slope: slope * factor }
                })
                .collect();
            let sum: f64 = seen.iter().map(|seen| seen.share).sum();
            for seen in &mut seen {
                seen.share /= sum;
            }
            all.push((at, seen));
        }
    }
    all
}

/// The formula, one query at a time, in double precision.
fn reference(q: &[f32], k: &[f32], v: &[f32], shape: Heads, spans: &[Span]) -> Vec<f64> {
    let mut out = vec![0.0; q.len()];
    for (at, seen) in shares(q, k, shape, spans) {
        for Seen { key, share, .. } in seen {
            for i in 0..shape.head_dim {
                out[at + i] += share * f64::from(v[key + i]);
            }
        }
    }
    out
}

/// Its derivatives in q, k and v, likewise.
fn reference_backward(
    inputs: AttentionInputs,
    shape: Heads,
    spans: &[Span],
    grad_out: &[f32],
) -> [Vec<f64>; 3] {
    let AttentionInputs { q, k, v } = inputs;
    let [mut grad_q, mut grad_k, mut grad_v] = [q, k, v].map(|x| vec![0.0; x.len()]);
    let d = shape.head_dim;
    for (at, seen) in shares(q, k, shape, spans) {
        let grad_share = |key: usize| -> f64 {
            (0..d).map(|i| f64::from(grad_out[at + i]) * f64::from(v[key + i])).sum()
        };
        let mean: f64 = seen.iter().map(|seen| seen.share * grad_share(seen.key)).sum();
        for Seen { key, share, slope } in seen {
            let grad_score = share * (grad_share(key) - mean) * slope;
            for i in 0..d {
                grad_q[at + i] += grad_score * f64::from(k[key + i]);
                grad_k[key + i] += grad_score * f64::from(q[at + i]);
                grad_v[key + i] += share * f64::from(grad_out[at + i]);
            }
        }
    }
    [grad_q, grad_k, grad_v]
}

#[test]
fn forward_follows_the_formula() {
    let plain = Heads::new(4, 2, 6);
    let windows = [None, Some(1), Some(5), Some(100)].map(|window| Heads { window, ..plain });
    let capped = [0.5, 30.0].map(|cap| Heads { soft_cap: Some(cap), factor: 0.9, ..windows[2] });
    // Rows of no whole vectors, and more heads to a key head than there are lanes.
    let wide = [Heads::new(6, 2, 40), Heads { window: Some(200), ..Heads::new(49, 1, 20) }];
    for shape in windows.into_iter().chain(capped).chain(wide) {
        let spans = spans(&[1, 70, 3, 300]);
        let tokens = 374;
        let (width, key_width) = (shape.query_width(), shape.key_width());
        let (q, k, v) = (
            uniform(1, tokens * width),
            uniform(2, tokens * key_width),
            uniform(3, tokens * key_width),
        );
        let (out, _) = run(&q, &k, &v, shape, &spans);
        let expected = reference(&q, &k, &v, shape, &spans);
        assert!(out.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 2e-6));
    }
}

#[test]
fn many_small_shares_are_not_lost_beside_a_large_one() {
    let (shape, tokens) = (Heads::new(1, 1, 1), 8192);
    // The first key gets three times as much as any other.
    let (q, k) = (vec![1.0; tokens], [vec![0.0], vec![-(3.0_f32.ln()); tokens - 1]].concat());
    let (v, spans) = ([vec![0.0], vec![1.0; tokens - 1]].concat(), spans(&[tokens]));
    let (out, _) = run(&q, &k, &v, shape, &spans);
    let expected = reference(&q, &k, &v, shape, &spans);
    for (found, expected) in out.iter().zip(&expected) {
        assert!((f64::from(*found) - expected).abs() < 3e-6, "{found} is not {expected}");
    }
}

#[test]
fn queries_at_the_end_of_a_cache_see_all_of_it() {
    let shape = Heads::new(2, 1, 4);
    let (q, k, v) = (uniform(1, 9 * 8), uniform(2, 9 * 4), uniform(3, 9 * 4));
    let (whole, _) = run(&q, &k, &v, shape, &spans(&[9]));
    let last = Span { query_start: 0, query_length: 2, key_start: 0, key_length: 9 };
    let (tail, _) = run(&q[7 * 8..], &k, &v, shape, &[last]);
    assert!(whole[7 * 8..].iter().zip(&tail).all(|(a, b)| (a - b).abs() < 1e-6));
}

/// Gradients in q, k and v of the summed products of the output with `grad_out`.
fn run_backward(
    inputs: AttentionInputs,
    shape: Heads,
    spans: &[Span],
    grad_out: &[f32],
) -> [Vec<f32>; 3] {
    let AttentionInputs { q, k, v } = inputs;
    let (out, log_sums) = run(q, k, v, shape, spans);
    let [mut grad_q, mut grad_k, mut grad_v] = [q, k, v].map(|x| vec![f32::NAN; x.len()]);
    let grads = AttentionGrads { q: &mut grad_q, k: &mut grad_k, v: &mut grad_v };
    attention_backward(inputs, shape, spans, &out, &log_sums, grad_out, grads);
    [grad_q, grad_k, grad_v]
}

#[test]
fn backward_is_the_derivative() {
    let plain = Heads::new(4, 2, 4);
    let window = Heads { window: Some(2), ..plain };
    for shape in [plain, window, Heads { soft_cap: Some(0.5), factor: 0.9, ..window }] {
        let spans = spans(&[3, 1, 4]);
        let tokens = 8;
        let (q, k, v) = (uniform(1, tokens * 16), uniform(2, tokens * 8), uniform(3, tokens * 8));
        let grad_out = uniform(4, tokens * 16);
        let inputs = AttentionInputs { q: &q, k: &k, v: &v };
        let [grad_q, grad_k, grad_v] = run_backward(inputs, shape, &spans, &grad_out);
        let loss = |q: &[f32], k: &[f32], v: &[f32]| {
            weighted_sum(&run(q, k, v, shape, &spans).0, &grad_out)
        };
        assert_gradient("q", &q, &grad_q, |q| loss(q, &k, &v));
        assert_gradient("k", &k, &grad_k, |k| loss(&q, k, &v));
        assert_gradient("v", &v, &grad_v, |v| loss(&q, &k, v));
    }
}

#[test]
fn backward_follows_the_formula() {
    // Many blocks of queries and of keys, and in the last shape more keys than a group goes through together.
    for (heads, kv_heads, head_dim, lengths) in [
        (4, 2, 4, &[3, 1, 4][..]),
        (4, 2, 4, &[400, 65, 130]),
        (16, 1, 4, &[1, 600]),
        (6, 2, 40, &[300]),
        (49, 1, 20, &[70]),
    ] {
        let plain = Heads::new(heads, kv_heads, head_dim);
        let windows = [None, Some(2), Some(70), Some(200), Some(300)];
        let windows = windows.map(|window| Heads { window, ..plain });
        let capped = Heads { soft_cap: Some(0.5), factor: 0.9, ..windows[3] };
        for shape in windows.into_iter().chain([capped]) {
            let (spans, tokens) = (spans(lengths), lengths.iter().sum::<usize>());
            let (width, key_width) = (shape.query_width(), shape.key_width());
            let (q, grad_out) = (uniform(1, tokens * width), uniform(4, tokens * width));
            let (k, v) = (uniform(2, tokens * key_width), uniform(3, tokens * key_width));
            let inputs = AttentionInputs { q: &q, k: &k, v: &v };
            let grads = run_backward(inputs, shape, &spans, &grad_out);
            let expected = reference_backward(inputs, shape, &spans, &grad_out);
            for (name, (grads, expected)) in ["q", "k", "v"].iter().zip(grads.iter().zip(expected))
            {
                for (i, (grad, expected)) in grads.iter().zip(expected).enumerate() {
                    let error = (f64::from(*grad) - expected).abs() / (1.0 + expected.abs());
                    assert!(error < 2e-6, "{shape:?} {name}[{i}] is off by {error:e}");
                }
            }
        }
    }
    // The keys of one shape are in more chunks than two.
    const { assert!(2 * cpu_backward::CHUNK < 600) };
}

#[test]
fn threads_do_not_change_the_bits() {
    let shape = Heads { window: Some(300), ..Heads::new(6, 2, 8) };
    let (spans, tokens) = (spans(&[1, 150, 700]), 851);
    let (q, k, v) = (uniform(1, tokens * 48), uniform(2, tokens * 16), uniform(3, tokens * 16));
    let grad_out = uniform(4, tokens * 48);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let inputs = AttentionInputs { q: &q, k: &k, v: &v };
            (run(&q, &k, &v, shape, &spans), run_backward(inputs, shape, &spans, &grad_out))
        })
    };
    let one = on(1);
    assert!(one.1.iter().flatten().all(|grad| grad.is_finite()));
    for threads in [2, 5] {
        assert!(on(threads) == one, "{threads} threads differ");
    }
}
