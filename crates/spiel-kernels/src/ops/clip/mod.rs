//! The loss and the norm of all gradients, and what they make of an update: the gradients' factor, or that there is none.

mod cpu;
mod gpu;

pub use cpu::{Clip, from_parts, to_parts};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{RUN, add_losses_program, clip_program, sum_of_squares_program};
