//! [rows, columns] to [columns, rows], whole or in blocks of rows.

mod cpu;
mod gpu;

pub use cpu::transpose_blocks;
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::transpose_program;
