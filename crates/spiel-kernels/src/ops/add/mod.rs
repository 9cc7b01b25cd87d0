//! y += x, as a block adds to its residual stream.

mod cpu;
mod gpu;

pub use cpu::add;
pub use gpu::add_program;
#[cfg(test)]
pub(crate) use gpu::programs;
