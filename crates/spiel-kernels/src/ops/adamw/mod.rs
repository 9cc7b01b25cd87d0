//! AdamW (Loshchilov and Hutter, arXiv 1711.05101): on whole tensors, and on deltas with an age each.

mod cpu;

pub use cpu::{AdamW, Seed, adamw, adamw_deltas};
