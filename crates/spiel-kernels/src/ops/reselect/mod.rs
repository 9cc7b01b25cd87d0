//! Dropping the smallest deltas and growing new ones, as the reference's `SftSelector`.

mod cpu;
mod gpu;

pub use cpu::{
    Candidates, Origin, Replacement, merge_order, momentum_keys, rearrange, replaceable,
    reselect_accumulated_gradients, reselect_momentum_approximation,
};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{
    GrownEntry, candidate_keys_program, exclude_program, mark_program, momentum_keys_program,
    place_kept_program, rearrange_program, settle_program, slot_keys_program, want_program,
};
