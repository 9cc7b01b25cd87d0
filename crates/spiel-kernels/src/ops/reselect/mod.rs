//! Dropping the smallest deltas and growing new ones, as the reference's `SftSelector`.

mod cpu;

pub use cpu::{
    Candidates, Origin, Replacement, merge_order, momentum_keys, rearrange,
    reselect_accumulated_gradients, reselect_momentum_approximation,
};
