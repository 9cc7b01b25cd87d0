//! y = cap · tanh(x / cap), which bounds logits smoothly. Its slope is part of what computes the logits' gradients.

mod cpu;
mod gpu;

pub use cpu::soft_cap;
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::soft_cap_program;
