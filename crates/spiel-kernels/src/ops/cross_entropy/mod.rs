//! Softmax cross-entropy of a chunk of logits rows, fused with its gradient.

mod cpu;

pub use cpu::{cross_entropy, cross_entropy_backward};
