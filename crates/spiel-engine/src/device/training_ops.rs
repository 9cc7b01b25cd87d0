//! The operations on what is trained: sampled gradients, candidates, reselection, optimisers.

use super::{LinearShape, Memory};
use crate::error::Result;
use spiel_kernels::ops::adamw::{AdamW, Seed};
use spiel_kernels::ops::sm3::Sm3;

/// AdamW's state of one module's deltas.
pub(crate) struct AdamWState<T> {
    pub(crate) ages: T,
    pub(crate) exp_avg: T,
    pub(crate) exp_avg_sq: T,
}

/// SM3's state of one matrix.
pub(crate) struct Sm3State<T> {
    pub(crate) rows: T,
    pub(crate) columns: T,
}

/// What a trial of two ways to the same gradients measured.
pub(crate) struct GradientTrial {
    /// Seconds with every gradient sampled by itself.
    pub(crate) sampled_seconds: f64,
    /// Seconds with dense tiles that the gradients are gathered from.
    pub(crate) dense_seconds: f64,
    /// Whether dense tiles are taken.
    pub(crate) dense: bool,
}

/// The candidates of one module in an open window.
pub(crate) struct CandidateState<T> {
    pub(crate) indices: T,
    pub(crate) grads: T,
    pub(crate) grads_sq: T,
}

/// What a reselection ranks new positions by, and the state it rearranges.
pub(crate) enum Growth<'a, B> {
    AccumulatedGradients {
        candidates: &'a CandidateState<B>,
        state: &'a mut AdamWState<B>,
        seed: Seed,
    },
    MomentumApproximation {
        state: &'a Sm3State<B>,
        shape: LinearShape,
        /// One word per weight of the matrix.
        scratch: &'a mut B,
    },
}

/// What training adds to the passes.
pub(crate) trait TrainingOps: Memory {
    /// Writes `x [tokens, width]` in the layout that this device samples gradients from, by tokens, as large as x.
    fn sampled_layout(&self, x: &Self::Buffer, tokens: usize, width: usize, out: &mut Self::Buffer);
    /// Adds the sampled gradient to `grads`; `x_t` and `grad_y_t` are in the layout for it.
    fn sampled_gradient(
        &self,
        indices: &Self::Buffer,
        x_t: &Self::Buffer,
        grad_y_t: &Self::Buffer,
        shape: LinearShape,
        grads: &mut Self::Buffer,
    );
    /// Measures, where a device can compute the gradients of such a module in two ways, which is faster, and takes that from
    /// now on; the results are the same bits. Overwrites all but the indices; `grads` has one word per delta.
    async fn try_gradients(
        &self,
        _indices: &Self::Buffer,
        _x_t: &mut Self::Buffer,
        _grad_y_t: &mut Self::Buffer,
        _shape: LinearShape,
        _grads: &mut Self::Buffer,
    ) -> Result<Option<GradientTrial>> {
        Ok(None)
    }
    /// Makes the largest entries of a dense gradient the candidates.
    fn choose_candidates(
        &self,
        gradient: &Self::Buffer,
        elements: usize,
        candidates: &mut CandidateState<Self::Buffer>,
    );
    /// Adds the gradient and its square at the candidates; `scratch` has one word per candidate.
    fn accumulate_candidates(
        &self,
        x_t: &Self::Buffer,
        grad_y_t: &Self::Buffer,
        shape: LinearShape,
        candidates: &mut CandidateState<Self::Buffer>,
        scratch: &mut Self::Buffer,
    );
    /// Fills `positions` with different random numbers below `total`, ascending: `spiel_kernels::random::positions`.
    fn draw_positions(&self, seed: u32, stream: u32, total: u32, positions: &mut Self::Buffer);
    fn gather(&self, x: &Self::Buffer, indices: &Self::Buffer, out: &mut Self::Buffer);
    fn apply_in_place(
        &self,
        indices: &Self::Buffer,
        base: &Self::Buffer,
        values: &Self::Buffer,
        weights: &mut Self::Buffer,
    );
    fn restore(&self, indices: &Self::Buffer, base: &Self::Buffer, weights: &mut Self::Buffer);
    /// Replaces up to `count` deltas and keeps all arrays sorted by index. How many is the second of two words that it
    /// puts into `replaced` at place `at`, which are zero.
    fn reselect(
        &self,
        indices: &mut Self::Buffer,
        values: &mut Self::Buffer,
        growth: Growth<'_, Self::Buffer>,
        count: usize,
        replaced: &mut Self::Buffer,
        at: usize,
    );
    /// Adds `scale` times the sum of the first `count` losses to a loss, which is a number in two parts
    /// (`spiel_kernels::ops::clip::to_parts`).
    fn add_losses(&self, losses: &Self::Buffer, count: usize, scale: f64, loss: &mut Self::Buffer);
    /// What this loss and the norm of these gradients make of update `step`: the next `spiel_kernels::ops::clip::Clip`.
    fn clip(
        &self,
        grads: &[&Self::Buffer],
        loss: &Self::Buffer,
        max_norm: f64,
        step: u32,
        clip: &mut Self::Buffer,
    );
    /// Updates whole tensors, unless `clip` says that the update is skipped.
    fn adamw(
        &self,
        update: &AdamW,
        step: u32,
        clip: &Self::Buffer,
        values: &mut Self::Buffer,
        grads: &Self::Buffer,
        exp_avg: &mut Self::Buffer,
        exp_avg_sq: &mut Self::Buffer,
    );
    fn adamw_deltas(
        &self,
        update: &AdamW,
        clip: &Self::Buffer,
        values: &mut Self::Buffer,
        grads: &Self::Buffer,
        state: &mut AdamWState<Self::Buffer>,
    );
    fn sm3(
        &self,
        update: &Sm3,
        clip: &Self::Buffer,
        indices: &Self::Buffer,
        values: &mut Self::Buffer,
        grads: &Self::Buffer,
        state: &mut Sm3State<Self::Buffer>,
        scratch: &mut Self::Buffer,
    );
}
