//! Gathering and scattering whole rows.

mod cpu;
mod gpu;

pub use cpu::{gather_rows, scatter_rows};
pub use gpu::{gather_rows_program, scatter_rows_program};
