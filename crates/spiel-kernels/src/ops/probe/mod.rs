//! What an adapter can do at most: rates of arithmetic and of copying, against which kernels are measured.

mod gpu;

#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{COPY_WORDS, FMA_SUMS, copy_probe_program, fma_probe_program};
