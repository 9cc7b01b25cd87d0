//! x[t] = table[token[t]], and its gradient in the table.

mod cpu;
mod gpu;

pub use cpu::{embedding, embedding_backward};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{embedding_backward_program, embedding_program};
