//! SM3 (Anil et al., arXiv 1901.11150) on the active positions of a matrix, as the reference's `SftSM3`.

mod cpu;
mod gpu;

pub use cpu::{Sm3, sm3};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{sm3_accumulate_program, sm3_estimate_program};
