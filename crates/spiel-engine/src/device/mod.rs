//! What a device must do: memory, and every operation of a training step on it.
//!
//! Operations are issued in order and may run later; only [`Device::read`] and [`Device::reselect`] wait. The
//! formulas are those of the functions of the same names in `spiel_kernels::ops`.

mod cpu;

pub(crate) use cpu::CpuDevice;

use crate::error::Result;
use spiel_kernels::formats::Format;
use spiel_kernels::ops::adamw::{AdamW, Seed};
use spiel_kernels::ops::attention::{Heads, Span};
use spiel_kernels::ops::rope::Direction;
use spiel_kernels::ops::sm3::Sm3;

/// T, in_features and out_features of a dense product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinearShape {
    pub(crate) tokens: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

/// q, k and v, or their gradients.
pub(crate) struct Qkv<T> {
    pub(crate) q: T,
    pub(crate) k: T,
    pub(crate) v: T,
}

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

/// A place to compute. Buffers are zero when allocated; sizes are in elements unless they say bytes.
pub(crate) trait Device {
    /// Memory of the device, of 32-bit words.
    type Buffer;

    /// The processor or adapter, in words.
    fn adapter(&self) -> String;
    /// Threads that compute.
    fn threads(&self) -> usize;

    fn allocate(&self, bytes: usize) -> Result<Self::Buffer>;
    fn write(&self, buffer: &mut Self::Buffer, offset_bytes: usize, bytes: &[u8]);
    async fn read(
        &self,
        buffer: &Self::Buffer,
        offset_bytes: usize,
        bytes: usize,
    ) -> Result<Vec<u8>>;
    /// Copies the first `count` words of `from` to `to[at..]`.
    fn copy(&self, from: &Self::Buffer, count: usize, to: &mut Self::Buffer, at: usize);
    fn clear(&self, buffer: &mut Self::Buffer);

    fn embedding(
        &self,
        tokens: &Self::Buffer,
        count: usize,
        table: &Self::Buffer,
        format: Format,
        width: usize,
        x: &mut Self::Buffer,
    );
    fn embedding_backward(
        &self,
        tokens: &Self::Buffer,
        count: usize,
        grad_x: &Self::Buffer,
        width: usize,
        grad_table: &mut Self::Buffer,
    );
    fn rms_norm(
        &self,
        x: &Self::Buffer,
        weight: &Self::Buffer,
        rows: usize,
        width: usize,
        epsilon: f32,
        y: &mut Self::Buffer,
    );
    fn rms_norm_backward(
        &self,
        norm: NormBackward<Self::Buffer>,
        rows: usize,
        width: usize,
        epsilon: f32,
        accumulate: bool,
        grad_x: &mut Self::Buffer,
        grad_weight: Option<&mut Self::Buffer>,
    );
    fn rope(
        &self,
        x: &mut Self::Buffer,
        rotations: &Self::Buffer,
        tokens: usize,
        heads: usize,
        head_dim: usize,
        direction: Direction,
    );
    fn attention(
        &self,
        inputs: Qkv<&Self::Buffer>,
        heads: Heads,
        spans: &[Span],
        out: &mut Self::Buffer,
        log_sums: &mut Self::Buffer,
    );
    fn attention_backward(
        &self,
        pass: AttentionPass<Self::Buffer>,
        heads: Heads,
        spans: &[Span],
        grads: Qkv<&mut Self::Buffer>,
    );
    fn swiglu(
        &self,
        gate: &Self::Buffer,
        up: &Self::Buffer,
        count: usize,
        activation: &mut Self::Buffer,
    );
    fn swiglu_backward(
        &self,
        gate: &Self::Buffer,
        up: &Self::Buffer,
        grad: &Self::Buffer,
        count: usize,
        grad_gate: &mut Self::Buffer,
        grad_up: &mut Self::Buffer,
    );
    /// y += x.
    fn add(&self, x: &Self::Buffer, count: usize, y: &mut Self::Buffer);

    fn linear(
        &self,
        x: &Self::Buffer,
        weight: &Self::Buffer,
        shape: LinearShape,
        y: &mut Self::Buffer,
    );
    fn linear_backward_input(
        &self,
        grad_y: &Self::Buffer,
        weight: &Self::Buffer,
        shape: LinearShape,
        accumulate: bool,
        grad_x: &mut Self::Buffer,
    );
    fn linear_backward_weight(
        &self,
        grad_y: &Self::Buffer,
        x: &Self::Buffer,
        shape: LinearShape,
        accumulate: bool,
        grad_weight: &mut Self::Buffer,
    );
    fn add_bias(&self, bias: &Self::Buffer, tokens: usize, width: usize, y: &mut Self::Buffer);
    fn add_bias_backward(
        &self,
        grad_y: &Self::Buffer,
        tokens: usize,
        width: usize,
        grad_bias: &mut Self::Buffer,
    );
    fn transpose(&self, x: &Self::Buffer, rows: usize, columns: usize, out: &mut Self::Buffer);
    fn gather_rows(
        &self,
        x: &Self::Buffer,
        rows: &Self::Buffer,
        first: usize,
        count: usize,
        width: usize,
        out: &mut Self::Buffer,
    );
    fn scatter_rows(
        &self,
        x: &Self::Buffer,
        rows: &Self::Buffer,
        first: usize,
        count: usize,
        width: usize,
        out: &mut Self::Buffer,
    );
    /// Losses of rows `first..first + count` of the targets; with a scale the logits become their gradient.
    fn cross_entropy(
        &self,
        logits: &mut Self::Buffer,
        targets: &Self::Buffer,
        first: usize,
        count: usize,
        vocab: usize,
        backward: Option<f32>,
        losses: &mut Self::Buffer,
    );

    /// Decodes `elements` weights and adds deltas `(indices, values)` of a matrix `width` wide.
    fn materialise(
        &self,
        stored: &Self::Buffer,
        format: Format,
        elements: usize,
        deltas: Option<(&Self::Buffer, &Self::Buffer, usize)>,
        weights: &mut Self::Buffer,
    );
    fn gather(&self, x: &Self::Buffer, indices: &Self::Buffer, out: &mut Self::Buffer);
    fn apply_in_place(
        &self,
        indices: &Self::Buffer,
        base: &Self::Buffer,
        values: &Self::Buffer,
        weights: &mut Self::Buffer,
    );
    fn restore(&self, indices: &Self::Buffer, base: &Self::Buffer, weights: &mut Self::Buffer);
    /// Adds the sampled gradient to `grads`.
    fn sampled_gradient(
        &self,
        indices: &Self::Buffer,
        x_t: &Self::Buffer,
        grad_y_t: &Self::Buffer,
        shape: LinearShape,
        grads: &mut Self::Buffer,
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
    /// Makes the largest entries of a dense gradient the candidates.
    fn choose_candidates(
        &self,
        gradient: &Self::Buffer,
        elements: usize,
        candidates: &mut CandidateState<Self::Buffer>,
    );
    /// Replaces `count` deltas and keeps all arrays sorted by index; returns how many were replaced.
    async fn reselect(
        &self,
        indices: &mut Self::Buffer,
        values: &mut Self::Buffer,
        growth: Growth<'_, Self::Buffer>,
        count: usize,
    ) -> Result<usize>;

    fn adamw(
        &self,
        update: &AdamW,
        step: u32,
        values: &mut Self::Buffer,
        grads: &Self::Buffer,
        exp_avg: &mut Self::Buffer,
        exp_avg_sq: &mut Self::Buffer,
    );
    fn adamw_deltas(
        &self,
        update: &AdamW,
        values: &mut Self::Buffer,
        grads: &Self::Buffer,
        state: &mut AdamWState<Self::Buffer>,
    );
    fn sm3(
        &self,
        update: &Sm3,
        indices: &Self::Buffer,
        values: &mut Self::Buffer,
        grads: &Self::Buffer,
        state: &mut Sm3State<Self::Buffer>,
        scratch: &mut Self::Buffer,
    );
    /// Σ x² over all of the buffers, each summed in double precision.
    async fn sum_of_squares(&self, buffers: &[&Self::Buffer]) -> Result<f64>;
}

/// Operands of RMSNorm's backward pass.
pub(crate) struct NormBackward<'a, B> {
    pub(crate) x: &'a B,
    pub(crate) weight: &'a B,
    pub(crate) grad_y: &'a B,
}

/// What attention's backward pass needs of the forward pass.
pub(crate) struct AttentionPass<'a, B> {
    pub(crate) inputs: Qkv<&'a B>,
    pub(crate) out: &'a B,
    pub(crate) log_sums: &'a B,
    pub(crate) grad_out: &'a B,
}
