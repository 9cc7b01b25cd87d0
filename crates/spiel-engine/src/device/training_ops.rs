//! The operations on what is trained: sampled gradients, candidates, reselection, optimisers.

use super::{Memory, ModuleSize};
use crate::error::Result;
use spiel_kernels::ops::adamw::{AdamW, Seed};
use spiel_kernels::ops::linear::LinearShape;
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

/// A linear layer whose gradients are sampled at its deltas.
pub(crate) struct SampledLayer<'a, B> {
    /// `[T, out]`.
    pub(crate) grad_y: &'a B,
    pub(crate) outputs: usize,
    pub(crate) indices: &'a B,
    /// What the gradients are added to.
    pub(crate) grads: &'a mut B,
    /// Where gradients and their squares are accumulated as well.
    pub(crate) candidates: Option<&'a mut CandidateState<B>>,
}

/// Memory for sampled gradients, of the sizes that the device asks for.
pub(crate) struct SamplingScratch<B> {
    /// The input `[T, in]`, or blocks of it, transposed.
    pub(crate) x_t: B,
    /// An output's gradient `[T, out]`, or blocks of it, transposed.
    pub(crate) grad_y_t: B,
    /// At least one word per delta of the largest module.
    pub(crate) samples: B,
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
    /// Words of each memory in the scratch for layers with the same input, whose gradients are wanted at the deltas, and
    /// where there are candidates at as many of these.
    fn sampling_words(
        &self,
        tokens: usize,
        layers: &[ModuleSize],
        candidates: bool,
    ) -> SamplingScratch<usize>;
    /// Adds the gradients at the deltas of layers with the same input `x [tokens, inputs]`, and those at candidates.
    fn sampled_gradients(
        &self,
        x: &Self::Buffer,
        tokens: usize,
        inputs: usize,
        layers: &mut [SampledLayer<'_, Self::Buffer>],
        scratch: &mut SamplingScratch<Self::Buffer>,
    );
    /// Measures, where a device can compute the gradients of such a module in two ways, which is faster, and takes that from
    /// now on; the results are the same bits.
    async fn try_gradients(
        &self,
        _indices: &Self::Buffer,
        _shape: LinearShape,
        _scratch: &mut SamplingScratch<Self::Buffer>,
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
