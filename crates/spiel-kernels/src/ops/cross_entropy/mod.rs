//! Softmax cross-entropy of a chunk of logits rows, fused with its gradient.

mod cpu;
mod gpu;

pub use cpu::{cross_entropy, cross_entropy_backward};
pub use gpu::cross_entropy_program;
#[cfg(test)]
pub(crate) use gpu::programs;

/// What gradient is taken.
#[derive(Debug, Clone, Copy)]
pub struct Backward {
    /// The factor of the summed loss.
    pub scale: f32,
    /// The bound, where the logits are what a soft cap made of others; the gradient is then that in those.
    pub soft_cap: Option<f32>,
}
