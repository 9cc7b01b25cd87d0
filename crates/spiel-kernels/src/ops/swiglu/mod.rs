//! a = silu(gate) · up (Shazeer, arXiv 2002.05202).

mod cpu;
mod gpu;

pub use cpu::{swiglu, swiglu_backward};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{swiglu_backward_program, swiglu_program};
