//! Dropping the smallest deltas and growing new ones, as the reference's `SftSelector`.

mod cpu;

pub use cpu::{momentum_keys, reselect_accumulated_gradients, reselect_momentum_approximation, Candidates, Replacement};
