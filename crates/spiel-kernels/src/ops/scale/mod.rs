//! x *= factor, as some families multiply embeddings, branches and what logits are made of.

mod cpu;
mod gpu;

pub use cpu::scale;
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::scale_program;
