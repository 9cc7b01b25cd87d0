//! AdamW (Loshchilov and Hutter, arXiv 1711.05101): on whole tensors, and on deltas with an age each.

mod cpu;
mod gpu;

pub use cpu::{AdamW, Seed, adamw, adamw_deltas};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{adamw_deltas_program, adamw_program};
