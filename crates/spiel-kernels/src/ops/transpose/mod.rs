//! [rows, columns] to [columns, rows].

mod cpu;

pub use cpu::transpose;
