use super::lanes::Lanes;
use super::layout::{Cut, cut};
use super::{Heads, Span};
use crate::math::{exp, scale, soft_cap};
use crate::parallel::{for_each_with, threads};
use crate::product::cached::{Vector, multiply};
use crate::simd::LANES;
use multiversion::multiversion;

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

/// What the lanes of a thread hold between keys.
#[derive(Default)]
struct Scratch {
    /// `[lanes, head_dim]`: queries, and in the end what they make of the values.
    rows: Vec<Vector>,
    /// `[head_dim, lanes]`.
    queries: Vec<Vector>,
    /// `[head_dim, lanes]`: of values, weighted by probabilities that are not yet divided by their sum.
    sums: Vec<Vector>,
    /// `[keys, lanes]`.
    scores: Vec<Vector>,
    softmax: Softmax,
}

/// The softmax of lanes so far: over keys that were seen (Milakov and Gimelshein, arXiv 1805.02867).
#[derive(Default)]
struct Softmax {
    /// The largest score.
    largest: Vec<Vector>,
    /// Σ exp(score - largest).
    total: Vec<Vector>,
    /// The same of the last block of keys alone: thousands of small numbers are not added to a large one each by itself.
    of_block: Vec<Vector>,
    /// What sums so far must be multiplied by, since the largest score has changed.
    correction: Vec<Vector>,
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
    let (height, group) = (Lanes::rows_at_once(shape), shape.group());
    let cuts = |data, width| cut(data, spans, Span::query_rows, (shape.kv_heads, width), height);
    let outputs = cuts(out, group * shape.head_dim);
    let mut tasks: Vec<_> = outputs.into_iter().zip(cuts(log_sums, group)).collect();
    // Head by head, so that a thread meets keys and values again while they are in its cache.
    tasks.sort_by_key(|(out, _)| (out.span, out.kv_head));
    let mut scratches: Vec<_> =
        (0..threads().min(tasks.len())).map(|_| Scratch::default()).collect();
    for_each_with(tasks, &mut scratches, |(mut out, mut log_sums), scratch| {
        let first = out.kv_head * group;
        for lanes in Lanes::all(spans[out.span], shape, out.kv_head, out.rows.clone()) {
            scratch.attend(inputs, shape, &lanes);
            scratch.write(shape, &lanes, lanes.heads.start - first, &mut out, &mut log_sums);
        }
    });
}

impl Scratch {
    fn attend(&mut self, inputs: AttentionInputs, shape: Heads, lanes: &Lanes) {
        let (d, width) = (shape.head_dim, lanes.width());
        let Self { rows, queries, sums, scores, softmax } = self;
        rows.resize(lanes.count() * shape.vectors(), [0.0; LANES]);
        queries.resize(d * width, [0.0; LANES]);
        lanes.gather(shape, inputs.q, rows);
        lanes.turn(shape, rows, queries);
        scale(queries.as_flattened_mut(), shape.factor);
        sums.clear();
        sums.resize(d * width, [0.0; LANES]);
        softmax.begin(width);
        for keys in lanes.seen_blocks(shape, &(0..lanes.span.key_length)) {
            lanes.score(shape, (inputs.k, &keys), queries, scores);
            if let Some(cap) = shape.soft_cap {
                soft_cap(scores.as_flattened_mut(), cap);
            }
            lanes.mask(shape, &keys, scores, f32::NEG_INFINITY);
            softmax.add(scores);
            multiply_rows(sums, &softmax.correction);
            let values = lanes.key_rows(shape, inputs.v, &keys).transposed();
            multiply(values, scores, sums, width, true);
        }
    }

    fn write(
        &mut self,
        shape: Heads,
        lanes: &Lanes,
        first_head: usize,
        out: &mut Cut,
        log_sums: &mut Cut,
    ) {
        let d = shape.head_dim;
        let Self { rows, sums, softmax: Softmax { largest, total, correction, .. }, .. } = self;
        // The last correction of all, by which exponentials become shares.
        for (correction, total) in correction.iter_mut().zip(&*total) {
            *correction = total.map(|sum| 1.0 / sum);
        }
        multiply_rows(sums, correction);
        let rows = rows.as_flattened_mut();
        lanes.turn_back(shape, sums, rows);
        let heads = lanes.heads.len();
        let (largest, total) = (largest.as_flattened(), total.as_flattened());
        for (i, row) in lanes.rows.clone().enumerate() {
            let part = &mut *out.parts[row - out.rows.start];
            part[first_head * d..][..heads * d]
                .copy_from_slice(&rows[i * heads * d..][..heads * d]);
            let part = &mut log_sums.parts[row - out.rows.start][first_head..][..heads];
            let of_row = i * heads..(i + 1) * heads;
            for ((part, largest), total) in
                part.iter_mut().zip(&largest[of_row.clone()]).zip(&total[of_row])
            {
                *part = largest + total.ln();
            }
        }
    }
}

impl Softmax {
    fn begin(&mut self, width: usize) {
        // Not negative infinity, from which nothing can be taken: a lane may see none of the first keys.
        let Self { largest, total, of_block, correction } = self;
        for (state, value) in
            [(largest, f32::MIN), (total, 0.0), (of_block, 0.0), (correction, 1.0)]
        {
            state.clear();
            state.resize(width, [value; LANES]);
        }
    }

    /// Turns scores `[keys, lanes]` into exponentials by which the sums so far are multiplied with the correction.
    fn add(&mut self, scores: &mut [Vector]) {
        self.correction.copy_from_slice(&self.largest);
        raise(&mut self.largest, scores);
        self.of_block.fill([0.0; LANES]);
        add_exponentials(scores, &self.largest, &mut self.of_block);
        for (lane, correction) in self.correction.iter_mut().enumerate() {
            let (largest, total) = (&self.largest[lane], &mut self.total[lane]);
            for i in 0..LANES {
                correction[i] = exp(correction[i] - largest[i]);
                total[i] = total[i] * correction[i] + self.of_block[lane][i];
            }
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn raise(largest: &mut [Vector], scores: &[Vector]) {
    let width = largest.len();
    for (lane, largest) in largest.iter_mut().enumerate() {
        let mut most = *largest;
        for scores in scores[lane..].iter().step_by(width) {
            for i in 0..LANES {
                most[i] = if scores[i] > most[i] { scores[i] } else { most[i] };
            }
        }
        *largest = most;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn add_exponentials(scores: &mut [Vector], largest: &[Vector], sums: &mut [Vector]) {
    for scores in scores.chunks_exact_mut(largest.len()) {
        for ((scores, largest), sum) in scores.iter_mut().zip(largest).zip(&mut *sums) {
            for i in 0..LANES {
                scores[i] = exp(scores[i] - largest[i]);
                sum[i] += scores[i];
            }
        }
    }
}

/// Multiplies every row by the same factors.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn multiply_rows(rows: &mut [Vector], factors: &[Vector]) {
    for row in rows.chunks_exact_mut(factors.len()) {
        for (row, factors) in row.iter_mut().zip(factors) {
            for i in 0..LANES {
                row[i] *= factors[i];
            }
        }
    }
}
