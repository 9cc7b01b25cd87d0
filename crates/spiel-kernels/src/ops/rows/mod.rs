//! Gathering and scattering whole rows.

mod cpu;

pub use cpu::{gather_rows, scatter_rows};
