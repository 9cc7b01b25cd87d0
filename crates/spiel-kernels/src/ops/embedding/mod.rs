//! x[t] = table[token[t]], and its gradient in the table.

mod cpu;

pub use cpu::{embedding, embedding_backward};
