//! Random initial positions, drawn on the device. What is right is said by [`crate::random::positions`].

mod gpu;

#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{RUN, count_marked_program, mark_drawn_program, write_marked_program};
