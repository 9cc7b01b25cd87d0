//! The norm of all gradients and what it makes of an update: their factor, or that there is none.

mod cpu;
mod gpu;

pub use cpu::Clip;
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{RUN, clip_program, sum_of_squares_program};
