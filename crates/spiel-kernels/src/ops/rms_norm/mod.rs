//! y = x / sqrt(mean(x²) + eps) · weight, over rows (Zhang and Sennrich, arXiv 1910.07467).

mod cpu;

pub use cpu::{rms_norm, rms_norm_backward};
