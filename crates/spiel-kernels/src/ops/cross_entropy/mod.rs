//! Softmax cross-entropy of a chunk of logits rows, fused with its gradient.

mod cpu;
mod gpu;

pub use cpu::{cross_entropy, cross_entropy_backward};
pub use gpu::cross_entropy_program;
#[cfg(test)]
pub(crate) use gpu::programs;
