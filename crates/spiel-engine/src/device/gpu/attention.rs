//! Attention among queries and keys of any number: both are cut so that every operand fits a binding.

use super::slices::Slice;
use super::upload::Kind;
use super::{GpuBuffer, GpuDevice};
use crate::device::{AttentionPass, Qkv};
use spiel_kernels::ops::attention::{
    Bound, Heads, Span, attention_backward_kv_program, attention_backward_kv_work,
    attention_backward_q_program, attention_backward_q_work, attention_program,
    attention_stats_program, attention_stats_work, attention_work, seeing_queries, seen_keys,
};
use spiel_kernels::program::Work;
use std::ops::Range;

/// Bytes of a float.
const FLOAT: usize = 4;
/// Bytes of a head's statistics for the backward pass.
const STATS: usize = 2 * FLOAT;

/// Rows that a part has a multiple of when it is cut for its work: whole tiles.
const ROWS: usize = 64;

/// The rows of one side, cut, and which rows of the other side they see.
struct Side {
    parts: Vec<Range<usize>>,
    /// Per row the first row that it sees, and the end; both never fall.
    seen: Vec<u32>,
}

impl Side {
    /// Each part with each of the others that it sees, and whether another came before.
    fn pairs<'a>(
        &'a self,
        others: &'a [Range<usize>],
    ) -> impl Iterator<Item = (&'a Range<usize>, &'a Range<usize>, bool)> {
        self.parts.iter().flat_map(move |part| {
            let (first, end) = (self.seen[2 * part.start], self.seen[2 * part.end - 1]);
            let is_seen = move |others: &&Range<usize>| {
                (first as usize) < others.end && others.start < end as usize
            };
            let seen = others.iter().filter(is_seen).enumerate();
            seen.map(move |(number, others)| (part, others, number > 0))
        })
    }
}

impl GpuDevice {
    /// Writes the output and the log-sums of scores.
    pub(super) fn attend(
        &self,
        Qkv { q, k, v }: Qkv<&GpuBuffer>,
        shape: Heads,
        spans: &[Span],
        [out, log_sums]: [&GpuBuffer; 2],
    ) {
        let work = attention_work(spans, shape);
        let queries = self.queries(shape, spans, &work);
        let keys = self.cuts_of_keys(shape, spans, &Work::default());
        let seen = &self.shared_upload(Kind::SeenKeys, &queries.seen);
        let work = work.shared_by(queries.pairs(&keys).count());
        for (part, keys, resumes) in queries.pairs(&keys) {
            let bound = Bound { queries: part.clone(), keys: keys.clone(), resumes };
            let [q, out] = [q, out].map(|buffer| self.query_part(buffer, part, shape));
            let [k, v] = [k, v].map(|buffer| self.key_part(buffer, keys, shape));
            let log_sums = self.part(log_sums, part, shape.heads * FLOAT);
            let program = attention_program(shape, &bound).doing(work);
            self.run(&program, &[q, k, v, seen.whole(), out, log_sums]);
        }
    }

    /// Writes the gradients in q, k and v.
    pub(super) fn attend_backward(
        &self,
        pass: AttentionPass<GpuBuffer>,
        shape: Heads,
        spans: &[Span],
        grads: Qkv<&mut GpuBuffer>,
    ) {
        let AttentionPass { inputs: Qkv { q, k, v }, out, log_sums, grad_out } = pass;
        let no_work = Work::default();
        let queries = self.queries(shape, spans, &no_work);
        let seen = seeing_queries(spans, shape);
        let keys = Side { parts: self.cuts_of_keys(shape, spans, &no_work), seen };
        let stats = &*self.temporary(queries.seen.len() * shape.heads);
        let work = attention_stats_work(spans, shape);
        let work = work.shared_by(queries.parts.len());
        for part in &queries.parts {
            let [out, grad_out] = [out, grad_out].map(|x| self.query_part(x, part, shape));
            let log_sums = self.part(log_sums, part, shape.heads * FLOAT);
            let stats = self.part(stats, part, shape.heads * STATS);
            let program = attention_stats_program(part.len(), shape).doing(work);
            self.run(&program, &[out, grad_out, log_sums, stats]);
        }
        let operands = |queries: &Range<usize>, keys: &Range<usize>, ranges| {
            let [q, grad_out] = [q, grad_out].map(|buffer| self.query_part(buffer, queries, shape));
            let [k, v] = [k, v].map(|buffer| self.key_part(buffer, keys, shape));
            [q, k, v, ranges, self.part(stats, queries, shape.heads * STATS), grad_out]
        };
        let seen = &self.shared_upload(Kind::SeenKeys, &queries.seen);
        let work = attention_backward_q_work(spans, shape);
        let longest = self.queries(shape, spans, &work);
        let work = work.shared_by(longest.pairs(&keys.parts).count());
        for (part, others, resumes) in longest.pairs(&keys.parts) {
            let bound = Bound { queries: part.clone(), keys: others.clone(), resumes };
            let program = attention_backward_q_program(shape, &bound).doing(work);
            let results = [self.query_part(grads.q, part, shape)];
            self.run(&program, &[&operands(part, others, seen.whole())[..], &results].concat());
        }
        let seen = &self.shared_upload(Kind::SeeingQueries, &keys.seen);
        let work = attention_backward_kv_work(spans, shape);
        let parts = self.cuts_of_keys(shape, spans, &work);
        let keys = Side { parts, ..keys };
        let work = work.shared_by(keys.pairs(&queries.parts).count());
        for (part, others, resumes) in keys.pairs(&queries.parts) {
            let bound = Bound { queries: others.clone(), keys: part.clone(), resumes };
            let program = attention_backward_kv_program(shape, &bound).doing(work);
            let results = [&*grads.k, &*grads.v].map(|buffer| self.key_part(buffer, part, shape));
            self.run(&program, &[&operands(others, part, seen.whole())[..], &results].concat());
        }
    }

    /// The queries, cut so that each part has no more of this work than a dispatch may.
    fn queries(&self, shape: Heads, spans: &[Span], work: &Work) -> Side {
        let seen = seen_keys(spans, shape);
        let Heads { heads, head_dim, .. } = shape;
        let (count, rows) =
            (seen.len() / 2, [heads * head_dim * FLOAT, heads * FLOAT, heads * STATS]);
        Side { parts: self.cuts_of(count, &rows, self.rows_at_once(count, work)), seen }
    }

    /// The keys, cut likewise.
    fn cuts_of_keys(&self, shape: Heads, spans: &[Span], work: &Work) -> Vec<Range<usize>> {
        let end = spans.last().map_or(0, |span| span.key_start + span.key_length);
        let row = shape.kv_heads * shape.head_dim * FLOAT;
        self.cuts_of(end, &[row], self.rows_at_once(end, work))
    }

    /// How many of `rows` rows a dispatch takes that has so much work with all of them. Rows differ: under a causal mask
    /// the last have twice the mean.
    fn rows_at_once(&self, rows: usize, work: &Work) -> usize {
        let dispatches = self.budget.get().dispatches_of_attention(work);
        if dispatches == 1 { rows } else { rows.div_ceil(2 * dispatches).next_multiple_of(ROWS) }
    }

    fn query_part<'a>(&self, x: &'a GpuBuffer, rows: &Range<usize>, shape: Heads) -> Slice<'a> {
        self.part(x, rows, shape.heads * shape.head_dim * FLOAT)
    }

    fn key_part<'a>(&self, x: &'a GpuBuffer, rows: &Range<usize>, shape: Heads) -> Slice<'a> {
        self.part(x, rows, shape.kv_heads * shape.head_dim * FLOAT)
    }
}
