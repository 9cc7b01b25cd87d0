//! a = act(gate) · up, where act(x) = x · sigmoid(curve(x)) (Shazeer, arXiv 2002.05202).

mod cpu;
mod gpu;

pub use cpu::{Gated, glu, glu_backward};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{glu_backward_program, glu_backward_work, glu_program, glu_work};

/// What the gate goes through. Each is given by its curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// The curve is x itself: SwiGLU.
    Silu,
    /// The Gaussian error unit by its tanh approximation (Hendrycks and Gimpel, arXiv 1606.08415), whose
    /// (1 + tanh(u)) / 2 is sigmoid(2u): GeGLU.
    GeluTanh,
}

impl Activation {
    /// One of every variant, for tests.
    pub const ALL: [Self; 2] = [Self::Silu, Self::GeluTanh];
}
