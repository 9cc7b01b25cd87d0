//! Gathering and scattering whole rows.

mod cpu;
mod gpu;

pub use cpu::{gather_rows, scatter_rows};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{gather_rows_program, scatter_rows_program};
