//! Causal grouped-query attention over packed sequences: softmax(q·kᵀ / sqrt(head_dim))·v, inside each span.

mod cpu;

pub use cpu::{attention, attention_backward, AttentionGrads, AttentionInputs, Heads, Span};
