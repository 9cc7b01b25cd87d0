//! Attention over packed sequences, forward and backward.

use super::{Bound, Subject, normal};
use crate::device::{AttentionPass, BlockOps, GpuDevice, Qkv};
use spiel_kernels::ops::attention::{Heads, Span};

cases! {
    attention_and_its_backward,
    attention_to_earlier_keys,
}

fn packed(lengths: &[usize]) -> Vec<Span> {
    let starts = lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end - length)
    });
    let span = |(start, length): (usize, &usize)| Span {
        query_start: start,
        query_length: *length,
        key_start: start,
        key_length: *length,
    };
    starts.zip(lengths).map(span).collect()
}

fn heads(heads: usize, kv_heads: usize, head_dim: usize, window: Option<usize>) -> Heads {
    Heads { window, ..Heads::new(heads, kv_heads, head_dim) }
}

fn capped(plain: Heads, cap: f32) -> Heads {
    Heads { soft_cap: Some(cap), factor: 1.3 * plain.factor, ..plain }
}

pub(super) async fn attention_and_its_backward(gpus: &[GpuDevice]) {
    let cases = [
        (heads(1, 1, 1, None), vec![1]),
        (heads(2, 1, 6, None), vec![3, 1, 8]),
        (heads(4, 2, 64, None), vec![17, 5]),
        (heads(3, 3, 160, None), vec![9, 2]),
        (heads(2, 2, 16, Some(1)), vec![7, 4]),
        (heads(2, 1, 16, Some(5)), vec![150, 1, 11]),
        (heads(2, 1, 8, None), vec![129, 300]),
        // Keys of several bindings, where these are short.
        (heads(4, 2, 64, None), vec![150, 181]),
        (heads(4, 1, 128, Some(40)), vec![10, 160, 70]),
        (heads(2, 1, 256, None), vec![33, 65]),
        (Heads { factor: 0.75, ..heads(4, 2, 16, None) }, vec![70, 3]),
        (capped(heads(4, 2, 64, Some(50)), 2.0), vec![150, 31]),
        (capped(heads(2, 1, 256, None), 50.0), vec![20, 65]),
    ];
    for gpu in gpus {
        for (shape, lengths) in &cases {
            let spans = packed(lengths);
            let tokens: usize = lengths.iter().sum();
            let queries = tokens * shape.heads * shape.head_dim;
            let keys = tokens * shape.kv_heads * shape.head_dim;
            let case = format!("attention {shape:?} {lengths:?}");
            // Backward sums over up to 600 terms, with weights from two exponentials.
            let bounds = [1e-5, 1e-5, 1e-4, 1e-4, 1e-4].map(Bound::Within);
            conform!(gpu, case, bounds, |on| {
                let inputs = [(1, queries), (2, keys), (3, keys)];
                let [q, k, v] = inputs.map(|(seed, count)| on.holding(&normal(seed, count)));
                let (mut out, mut log_sums) = (on.output(queries), on.output(tokens * shape.heads));
                let inputs = || Qkv { q: &q, k: &k, v: &v };
                on.attention(inputs(), *shape, &spans, &mut out, &mut log_sums);
                let grad_out = on.holding(&normal(4, queries));
                let [mut grad_q, mut grad_k, mut grad_v] =
                    [queries, keys, keys].map(|count| on.output(count));
                let pass = AttentionPass {
                    inputs: inputs(),
                    out: &out,
                    log_sums: &log_sums,
                    grad_out: &grad_out,
                };
                let grads = Qkv { q: &mut grad_q, k: &mut grad_k, v: &mut grad_v };
                on.attention_backward(pass, *shape, &spans, grads);
                vec![
                    on.taken(&out, queries).await,
                    on.taken(&log_sums, tokens * shape.heads).await,
                    on.taken(&grad_q, queries).await,
                    on.taken(&grad_k, keys).await,
                    on.taken(&grad_v, keys).await,
                ]
            });
        }
    }
}

async fn attention_to_earlier_keys(gpus: &[GpuDevice]) {
    for gpu in gpus {
        let plain = heads(4, 2, 32, None);
        for (queries, keys, shape) in [
            (1, 1, plain),
            (1, 200, plain),
            (3, 140, plain),
            (2, 50, heads(4, 2, 32, Some(9))),
            (1, 700, plain),
            (70, 600, plain),
            (1, 300, capped(plain, 1.5)),
            (2, 90, capped(heads(4, 2, 32, Some(40)), 50.0)),
            // Wider than a workgroup has sums for; such heads are for inference alone.
            (3, 60, heads(4, 2, 300, None)),
        ] {
            let [width, kv_width] =
                [shape.heads, shape.kv_heads].map(|heads| heads * shape.head_dim);
            let span =
                Span { query_start: 0, query_length: queries, key_start: 0, key_length: keys };
            let case = format!("attention of {queries} to {keys} {shape:?}");
            conform!(gpu, case, [Bound::Within(1e-5); 2], |on| {
                let q = on.holding(&normal(1, queries * width));
                let [k, v] = [2, 3].map(|seed| on.holding(&normal(seed, keys * kv_width)));
                let (mut out, mut log_sums) = (on.output(queries * width), on.output(queries * 4));
                on.attention(Qkv { q: &q, k: &k, v: &v }, shape, &[span], &mut out, &mut log_sums);
                vec![on.taken(&out, queries * width).await, on.taken(&log_sums, queries * 4).await]
            });
        }
    }
}
