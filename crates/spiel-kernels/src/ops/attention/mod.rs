//! Causal grouped-query attention over packed sequences: softmax(q·kᵀ / sqrt(head_dim))·v, inside each span.

mod cpu;

pub use cpu::{AttentionGrads, AttentionInputs, Heads, Span, attention, attention_backward};
