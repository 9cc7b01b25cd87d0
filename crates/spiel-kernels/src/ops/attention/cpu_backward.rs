use super::cpu::AttentionInputs;
use super::lanes::Lanes;
use super::layout::{Cut, cut};
use super::{Heads, Span};
use crate::math::{dot, exp, scale, soft_cap};
use crate::parallel::{for_each_with, threads};
use crate::product::Matrix;
use crate::product::cached::{Vector, multiply};
use crate::simd::LANES;
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

/// Tokens whose queries, and whose keys, one task takes. With half as many, twice as many threads would find work in a short
/// sequence, and what tasks prepare would cost 3 to 8 % of the pass.
pub(super) const CHUNK: usize = 256;

/// What the forward pass left, and the gradient that comes back.
#[derive(Clone, Copy)]
struct Pass<'a> {
    inputs: AttentionInputs<'a>,
    shape: Heads,
    out: &'a [f32],
    log_sums: &'a [f32],
    grad_out: &'a [f32],
}

/// Queries of the heads that share a key head.
struct Queries<'a> {
    grads: Cut<'a>,
    /// `[rows, heads]`: what is taken from the gradients in a row's probabilities; empty until keys are met.
    means: Vec<f32>,
}

/// Keys and values of one head.
struct Keys<'a> {
    k: Cut<'a>,
    v: Cut<'a>,
    /// Whether any queries were met.
    met: bool,
}

/// The chunks of one span and one key head.
#[derive(Default)]
struct Group<'a> {
    queries: Vec<Queries<'a>>,
    keys: Vec<Keys<'a>>,
}

/// The gradients in q, k and v from `grad_out [T, H, head_dim]`, given the forward pass's output and log-sums.
///
/// Scores are computed again, block by block (Dao, arXiv 2307.08691), with no more memory than a few blocks for each
/// thread, and some 50 bytes for each token and key head. Spans must lie in ascending order and cover every row.
pub fn attention_backward(
    inputs: AttentionInputs,
    shape: Heads,
    spans: &[Span],
    out: &[f32],
    log_sums: &[f32],
    grad_out: &[f32],
    grads: AttentionGrads,
) {
    let pass = Pass { inputs, shape, out, log_sums, grad_out };
    let mut groups = groups(shape, spans, grads);
    let mut scratches: Vec<_> = (0..threads()).map(|_| Scratch::default()).collect();
    let rounds = groups.iter().map(Group::rounds).max().unwrap_or(0);
    for round in 0..rounds {
        let meetings = groups.iter_mut().flat_map(|group| group.meetings(spans, shape, round));
        for_each_with(meetings.collect(), &mut scratches, |(queries, keys), scratch| {
            scratch.meet(pass, spans[queries.grads.span], queries, keys);
        });
    }
    for keys in groups.into_iter().flat_map(|group| group.keys).filter(|keys| !keys.met) {
        keys.k.parts.into_iter().chain(keys.v.parts).for_each(|grad| grad.fill(0.0));
    }
}

fn groups<'a>(shape: Heads, spans: &[Span], grads: AttentionGrads<'a>) -> Vec<Group<'a>> {
    let AttentionGrads { q, k, v } = grads;
    let (kv_heads, d) = (shape.kv_heads, shape.head_dim);
    let mut groups = Vec::new();
    groups.resize_with(spans.len() * kv_heads, Group::default);
    for grads in cut(q, spans, Span::query_rows, (kv_heads, shape.group() * d), CHUNK) {
        groups[grads.span * kv_heads + grads.kv_head]
            .queries
            .push(Queries { grads, means: Vec::new() });
    }
    let of_keys = |data| cut(data, spans, Span::key_rows, (kv_heads, d), CHUNK);
    for (k, v) in of_keys(k).into_iter().zip(of_keys(v)) {
        groups[k.span * kv_heads + k.kv_head].keys.push(Keys { k, v, met: false });
    }
    groups
}

impl<'a> Group<'a> {
    fn rounds(&self) -> usize {
        self.queries.len().max(self.keys.len())
    }

    /// Who meets whom in a round. In no round does any chunk meet two others, so that no two tasks add to the same
    /// gradients; after all rounds each has met each, in an order that is always the same.
    fn meetings<'b>(
        &'b mut self,
        spans: &'b [Span],
        shape: Heads,
        round: usize,
    ) -> impl Iterator<Item = (&'b mut Queries<'a>, &'b mut Keys<'a>)> {
        let rounds = self.rounds();
        let mut all_keys: Vec<_> = self.keys.iter_mut().map(Some).collect();
        self.queries.iter_mut().enumerate().filter_map(move |(number, queries)| {
            let partner = (rounds + round - number) % rounds;
            let keys = all_keys.get_mut(partner).filter(|_| round < rounds)?.take()?;
            let (rows, span) = (&queries.grads.rows, spans[queries.grads.span]);
            let meet = span.visible(rows.start, shape.window).start < keys.k.rows.end
                && keys.k.rows.start < span.visible(rows.end - 1, shape.window).end;
            meet.then_some((queries, keys))
        })
    }
}

/// What a thread holds while queries meet keys.
#[derive(Default)]
struct Scratch {
    queries: Side,
    /// Of the gradient that comes back.
    grads: Side,
    /// `[lanes]`, in whole vectors.
    log_sums: Vec<Vector>,
    means: Vec<Vector>,
    /// `[keys, lanes]`: scores, then probabilities.
    probabilities: Vec<Vector>,
    /// `[keys, lanes]`: gradients in the probabilities, then in the products of queries and keys.
    changes: Vec<Vector>,
    /// `[head_dim, lanes]`.
    grad_q: Vec<Vector>,
    /// `[keys of the chunk, head_dim]`.
    grad_k: Vec<Vector>,
    grad_v: Vec<Vector>,
}

/// Rows of lanes, and the same as columns. What lies between the ends of rows or lanes and those of their last vectors is
/// anything: it never meets what is summed.
#[derive(Default)]
struct Side {
    /// `[lanes, head_dim]`; those of queries have their gradients in the end.
    rows: Vec<Vector>,
    /// `[head_dim, lanes]`.
    columns: Vec<Vector>,
}

impl Side {
    fn gather(&mut self, shape: Heads, lanes: &Lanes, from: &[f32]) {
        self.rows.resize(lanes.count() * shape.vectors(), [0.0; LANES]);
        self.columns.resize(shape.head_dim * lanes.width(), [0.0; LANES]);
        lanes.gather(shape, from, &mut self.rows);
        lanes.turn(shape, &self.rows, &mut self.columns);
    }
}

fn zeroed(data: &mut Vec<Vector>, length: usize) {
    data.clear();
    data.resize(length, [0.0; LANES]);
}

impl Scratch {
    /// Adds what queries and keys that meet have to do with each other to the gradients in all of them.
    fn meet(&mut self, pass: Pass, span: Span, queries: &mut Queries, keys: &mut Keys) {
        let shape = pass.shape;
        let first = queries.means.is_empty();
        if first {
            queries.means = means(pass, span, &queries.grads);
        }
        for grads in [&mut self.grad_k, &mut self.grad_v] {
            zeroed(grads, keys.k.rows.len() * shape.vectors());
        }
        let Cut { kv_head, rows, .. } = &queries.grads;
        for lanes in Lanes::all(span, shape, *kv_head, rows.clone()) {
            if !first && lanes.seen(shape, &keys.k.rows).is_empty() {
                continue;
            }
            self.prepare(pass, &lanes, queries);
            for block in lanes.seen_blocks(shape, &keys.k.rows) {
                self.add_block(pass, &lanes, &block, keys.k.rows.start);
            }
            lanes.turn_back(shape, &self.grad_q, self.queries.rows.as_flattened_mut());
            let first_head = lanes.heads.start - queries.grads.kv_head * shape.group();
            let width = lanes.heads.len() * shape.head_dim;
            let rows = self.queries.rows.as_flattened().chunks(width);
            for (row, sums) in lanes.rows.clone().zip(rows) {
                let part = &mut *queries.grads.parts[row - queries.grads.rows.start];
                put(&mut part[first_head * shape.head_dim..][..width], sums, first);
            }
        }
        for (grads, sums) in [(&mut keys.k, &self.grad_k), (&mut keys.v, &self.grad_v)] {
            let rows = sums.chunks(shape.vectors());
            for (part, sums) in grads.parts.iter_mut().zip(rows) {
                put(part, &sums.as_flattened()[..shape.head_dim], !keys.met);
            }
        }
        keys.met = true;
    }

    fn prepare(&mut self, pass: Pass, lanes: &Lanes, queries: &Queries) {
        let Pass { inputs, shape, .. } = pass;
        let (heads, width) = (lanes.heads.len(), lanes.width());
        self.queries.gather(shape, lanes, inputs.q);
        scale(self.queries.columns.as_flattened_mut(), shape.factor);
        self.grads.gather(shape, lanes, pass.grad_out);
        zeroed(&mut self.grad_q, shape.head_dim * width);
        self.log_sums.resize(width, [0.0; LANES]);
        self.means.resize(width, [0.0; LANES]);
        let (log_sums, means) = (self.log_sums.as_flattened_mut(), self.means.as_flattened_mut());
        let first_head = lanes.heads.start - queries.grads.kv_head * shape.group();
        let places = log_sums.chunks_mut(heads).zip(means.chunks_mut(heads));
        for (row, (log_sums, means)) in lanes.rows.clone().zip(places) {
            log_sums.copy_from_slice(&pass.log_sums[lanes.place(shape, row, 1)]);
            let at = (row - queries.grads.rows.start) * shape.group() + first_head;
            means.copy_from_slice(&queries.means[at..at + heads]);
        }
    }

    fn add_block(&mut self, pass: Pass, lanes: &Lanes, keys: &Range<usize>, first_key: usize) {
        let Pass { inputs, shape, .. } = pass;
        let (width, vectors) = (lanes.width(), shape.vectors());
        let Self { queries, grads, probabilities, changes, .. } = self;
        lanes.score(shape, (inputs.k, keys), &queries.columns, probabilities);
        if let Some(cap) = shape.soft_cap {
            soft_cap(probabilities.as_flattened_mut(), cap);
        }
        lanes.score(shape, (inputs.v, keys), &grads.columns, changes);
        for (probabilities, changes) in
            probabilities.chunks_mut(width).zip(changes.chunks_mut(width))
        {
            row_backward(probabilities, changes, &self.log_sums, &self.means, shape);
        }
        lanes.mask(shape, keys, probabilities, 0.0);
        lanes.mask(shape, keys, changes, 0.0);
        let of_keys = lanes.key_rows(shape, inputs.k, keys).transposed();
        multiply(of_keys, changes, &mut self.grad_q, width, true);
        let inside = (keys.start - first_key) * vectors..(keys.end - first_key) * vectors;
        for (scores, rows, sums) in [
            (changes, &queries.rows, &mut self.grad_k),
            (probabilities, &grads.rows, &mut self.grad_v),
        ] {
            let scores =
                Matrix::new(scores.as_flattened(), keys.len(), lanes.count(), width * LANES);
            multiply(scores, rows, &mut sums[inside.clone()], vectors, true);
        }
    }
}

/// Σ out · `grad_out` of every row and head: the mean of the gradients in its probabilities, weighted by them.
fn means(pass: Pass, span: Span, grads: &Cut) -> Vec<f32> {
    let (shape, d) = (pass.shape, pass.shape.head_dim);
    let heads = grads.kv_head * shape.group()..(grads.kv_head + 1) * shape.group();
    let places = grads.rows.clone().flat_map(|row| {
        heads.clone().map(move |head| ((span.query_start + row) * shape.heads + head) * d)
    });
    places.map(|at| dot(&pass.out[at..at + d], &pass.grad_out[at..at + d])).collect()
}

/// The first sums replace what is there, others are added to it.
fn put(grads: &mut [f32], sums: &[f32], first: bool) {
    if first {
        grads.copy_from_slice(sums);
    } else {
        for (grad, sum) in grads.iter_mut().zip(sums) {
            *grad += sum;
        }
    }
}

/// Turns scores into probabilities, and the gradients in the probabilities into those in q·k.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn row_backward(
    scores: &mut [Vector],
    grads: &mut [Vector],
    log_sums: &[Vector],
    means: &[Vector],
    shape: Heads,
) {
    let factor = shape.factor;
    let lanes = scores.iter_mut().zip(grads).zip(log_sums.iter().zip(means));
    for ((score, grad), (log_sum, mean)) in lanes {
        if let Some(cap) = shape.soft_cap {
            for i in 0..LANES {
                let share = score[i] / cap;
                grad[i] = (grad[i] - mean[i]) * (1.0 - share * share);
                score[i] = exp(score[i] - log_sum[i]);
                grad[i] = score[i] * grad[i] * factor;
            }
        } else {
            for i in 0..LANES {
                score[i] = exp(score[i] - log_sum[i]);
                grad[i] = score[i] * (grad[i] - mean[i]) * factor;
            }
        }
    }
}
