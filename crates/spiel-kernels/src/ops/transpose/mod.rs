//! [rows, columns] to [columns, rows].

mod cpu;
mod gpu;

pub use cpu::transpose;
pub use gpu::transpose_program;
