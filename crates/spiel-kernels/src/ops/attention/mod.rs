//! Causal grouped-query attention over packed sequences: `softmax(cap(q·kᵀ · factor))·v`, inside each span.

mod cpu;
mod cpu_backward;
mod gpu;
mod lanes;
mod layout;
#[cfg(test)]
mod tests;
mod work;

pub use cpu::{AttentionInputs, attention};
pub use cpu_backward::{AttentionGrads, attention_backward};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{
    Bound, LARGEST_HEAD, attention_backward_kv_program, attention_backward_q_program,
    attention_program, attention_stats_program, seeing_queries, seen_keys,
};
pub use work::{
    attention_backward_kv_work, attention_backward_q_work, attention_backward_work,
    attention_stats_work, attention_work,
};

use crate::simd::LANES;
use std::ops::Range;

/// The shape of grouped-query attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    /// H, the number of query heads.
    pub heads: usize,
    /// K, the number of key and value heads; divides H.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Positions a query sees, itself included, when not all before it.
    pub window: Option<usize>,
    /// What a product of query and key is multiplied by.
    pub factor: f32,
    /// The bound c of scores, which become c · tanh(score / c), if any (Gemma 2).
    pub soft_cap: Option<f32>,
}

impl Heads {
    /// Attention as it mostly is: to all earlier positions, by products over the root of the heads' width.
    #[must_use]
    pub fn new(heads: usize, kv_heads: usize, head_dim: usize) -> Self {
        let factor = 1.0 / (head_dim as f32).sqrt();
        Self { heads, kv_heads, head_dim, window: None, factor, soft_cap: None }
    }

    fn query_width(self) -> usize {
        self.heads * self.head_dim
    }

    fn key_width(self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Query heads that share a key head.
    fn group(self) -> usize {
        self.heads / self.kv_heads
    }

    /// Vectors that hold a row of one head.
    fn vectors(self) -> usize {
        self.head_dim.div_ceil(LANES)
    }

    fn kv_head(self, head: usize) -> usize {
        head / self.group()
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
    fn query_rows(&self) -> (usize, usize) {
        (self.query_start, self.query_length)
    }

    fn key_rows(&self) -> (usize, usize) {
        (self.key_start, self.key_length)
    }

    /// The keys that query `query` of the span sees, counted inside the span.
    fn visible(self, query: usize, window: Option<usize>) -> Range<usize> {
        let end = self.key_length - self.query_length + query + 1;
        window.map_or(0, |window| end.saturating_sub(window))..end
    }
}
