//! y = x / sqrt(mean(x²) + eps) · weight, over rows (Zhang and Sennrich, arXiv 1910.07467).

mod cpu;
mod gpu;

pub use cpu::{rms_norm, rms_norm_backward};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{rms_norm_backward_program, rms_norm_program, rms_norm_weight_backward_program};

/// What belongs to the weights of a norm.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    /// Added to the mean of squares.
    pub epsilon: f32,
    /// Whether the weights are stored as what they differ from one by (Gemma).
    pub unit_offset: bool,
}

impl Norm {
    /// What is added to stored weights.
    fn offset(self) -> f32 {
        f32::from(u8::from(self.unit_offset))
    }
}
