//! Sparse deltas: adding them to weights, and the sampled gradient of their values.

mod cpu;

pub use cpu::{add_deltas, apply_in_place, gather, restore, sampled_gradient};
