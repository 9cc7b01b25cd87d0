//! Rotary position embedding over the two halves of each head, as in Hugging Face's LLaMA (Su et al., arXiv 2104.09864).

mod cpu;
mod gpu;

pub use cpu::{Direction, frequencies, rope, rotations};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::rope_program;
