//! [rows, columns] to [columns, rows].

mod cpu;
mod gpu;

pub use cpu::transpose;
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::transpose_program;
