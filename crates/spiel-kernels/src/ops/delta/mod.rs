//! Sparse deltas: adding them to weights, and the sampled gradient of their values.

mod cpu;
mod gpu;
mod sampled;

pub use cpu::{apply_in_place, gather, materialise, materialise_bf16, restore};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{
    SAMPLED_SLOTS, accumulate_candidates_program, add_deltas_program, add_deltas_work,
    apply_in_place_program, gather_program, materialise_program, materialise_work, restore_program,
    sampled_gradient_program, sampled_gradient_work,
};
pub use sampled::{
    SampledLayer, SamplingScratch, Slots, sampled_gradients, sampling_words, tile_words,
};
