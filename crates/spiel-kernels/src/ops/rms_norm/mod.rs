//! y = x / sqrt(mean(x²) + eps) · weight, over rows (Zhang and Sennrich, arXiv 1910.07467).

mod cpu;
mod gpu;

pub use cpu::{rms_norm, rms_norm_backward};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{rms_norm_backward_program, rms_norm_program, rms_norm_weight_backward_program};
