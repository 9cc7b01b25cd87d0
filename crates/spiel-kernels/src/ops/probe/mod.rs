//! What a device can do at most: rates of arithmetic and of copying, against which operations are measured.

mod cpu;
mod gpu;

pub use cpu::{bf16_probe, bf16_probe_work, copy_probe, fma_probe, fma_probe_work};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{COPY_WORDS, FMA_SUMS, copy_probe_program, fma_probe_program};
