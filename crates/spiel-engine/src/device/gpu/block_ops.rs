//! Forward and backward operations, by the kernels' programs.

use super::{GpuBuffer, GpuDevice};
use crate::device::{AttentionPass, BlockOps, LinearShape, NormBackward, Qkv};
use spiel_kernels::formats::Format;
use spiel_kernels::ops::attention::{self, Heads, Span};
use spiel_kernels::ops::linear::Strides;
use spiel_kernels::ops::rope::{self, Direction};
use spiel_kernels::ops::{cross_entropy, delta, embedding, linear, rms_norm, rows, swiglu};

impl BlockOps for GpuDevice {
    fn embedding(
        &self,
        tokens: &GpuBuffer,
        count: usize,
        table: &GpuBuffer,
        format: Format,
        width: usize,
        x: &mut GpuBuffer,
    ) {
        self.run(&embedding::embedding_program(format, count, width), &[table, tokens, x]);
    }

    fn embedding_backward(
        &self,
        tokens: &GpuBuffer,
        count: usize,
        grad_x: &GpuBuffer,
        width: usize,
        grad_table: &mut GpuBuffer,
    ) {
        let program = embedding::embedding_backward_program(count, width);
        self.run(&program, &[tokens, grad_x, grad_table]);
    }

    fn rms_norm(
        &self,
        x: &GpuBuffer,
        weight: &GpuBuffer,
        rows: usize,
        width: usize,
        epsilon: f32,
        y: &mut GpuBuffer,
    ) {
        self.run(&rms_norm::rms_norm_program(rows, width, epsilon), &[x, weight, y]);
    }

    fn rms_norm_backward(
        &self,
        norm: NormBackward<GpuBuffer>,
        rows: usize,
        width: usize,
        epsilon: f32,
        accumulate: bool,
        grad_x: &mut GpuBuffer,
        grad_weight: Option<&mut GpuBuffer>,
    ) {
        let NormBackward { x, weight, grad_y } = norm;
        let inverses = self.temporary(rows);
        let program = rms_norm::rms_norm_backward_program(rows, width, epsilon, accumulate);
        self.run(&program, &[x, weight, grad_y, grad_x, &inverses]);
        if let Some(grad_weight) = grad_weight {
            let program = rms_norm::rms_norm_weight_backward_program(rows, width);
            self.run(&program, &[x, grad_y, &inverses, grad_weight]);
        }
    }

    fn rope(
        &self,
        x: &mut GpuBuffer,
        rotations: &GpuBuffer,
        tokens: usize,
        heads: usize,
        head_dim: usize,
        direction: Direction,
    ) {
        self.run(&rope::rope_program(tokens, heads, head_dim, direction), &[rotations, x]);
    }

    fn attention(
        &self,
        inputs: Qkv<&GpuBuffer>,
        heads: Heads,
        spans: &[Span],
        out: &mut GpuBuffer,
        log_sums: &mut GpuBuffer,
    ) {
        let seen = attention::seen_keys(spans, heads);
        let program = attention::attention_program(seen.len() / 2, heads);
        let seen = self.uploaded(&seen);
        self.run(&program, &[inputs.q, inputs.k, inputs.v, &seen, out, log_sums]);
    }

    fn attention_backward(
        &self,
        pass: AttentionPass<GpuBuffer>,
        heads: Heads,
        spans: &[Span],
        grads: Qkv<&mut GpuBuffer>,
    ) {
        let AttentionPass { inputs: Qkv { q, k, v }, out, log_sums, grad_out } = pass;
        let seen = attention::seen_keys(spans, heads);
        let seers = attention::seeing_queries(spans, heads);
        let (tokens, keys) = (seen.len() / 2, seers.len() / 2);
        let (seen, seers) = (self.uploaded(&seen), self.uploaded(&seers));
        let stats = self.temporary(2 * tokens * heads.heads);
        let program = attention::attention_stats_program(tokens, heads);
        self.run(&program, &[out, grad_out, log_sums, &stats]);
        let program = attention::attention_backward_q_program(tokens, heads);
        self.run(&program, &[q, k, v, &seen, &stats, grad_out, grads.q]);
        let program = attention::attention_backward_kv_program(keys, heads);
        self.run(&program, &[q, k, v, &seers, &stats, grad_out, grads.k, grads.v]);
    }

    fn swiglu(&self, gate: &GpuBuffer, up: &GpuBuffer, count: usize, activation: &mut GpuBuffer) {
        self.run(&swiglu::swiglu_program(count), &[gate, up, activation]);
    }

    fn swiglu_backward(
        &self,
        gate: &GpuBuffer,
        up: &GpuBuffer,
        grad: &GpuBuffer,
        count: usize,
        grad_gate: &mut GpuBuffer,
        grad_up: &mut GpuBuffer,
    ) {
        let program = swiglu::swiglu_backward_program(count);
        self.run(&program, &[gate, up, grad, grad_gate, grad_up]);
    }

    fn add(&self, x: &GpuBuffer, count: usize, y: &mut GpuBuffer) {
        // One row of bias as long as y.
        self.run(&linear::add_bias_program(1, count), &[x, y]);
    }

    fn linear(&self, x: &GpuBuffer, weight: &GpuBuffer, shape: LinearShape, y: &mut GpuBuffer) {
        let LinearShape { tokens, inputs, outputs } = shape;
        let (a, b) = (Strides { row: inputs, column: 1 }, Strides { row: 1, column: inputs });
        let program = linear::product_program([tokens, outputs, inputs], a, b, false);
        self.run(&program, &[x, weight, y]);
    }

    fn linear_backward_input(
        &self,
        grad_y: &GpuBuffer,
        weight: &GpuBuffer,
        shape: LinearShape,
        accumulate: bool,
        grad_x: &mut GpuBuffer,
    ) {
        let LinearShape { tokens, inputs, outputs } = shape;
        let (a, b) = (Strides { row: outputs, column: 1 }, Strides { row: inputs, column: 1 });
        let program = linear::product_program([tokens, inputs, outputs], a, b, accumulate);
        self.run(&program, &[grad_y, weight, grad_x]);
    }

    fn linear_backward_weight(
        &self,
        grad_y: &GpuBuffer,
        x: &GpuBuffer,
        shape: LinearShape,
        accumulate: bool,
        grad_weight: &mut GpuBuffer,
    ) {
        let LinearShape { tokens, inputs, outputs } = shape;
        let (a, b) = (Strides { row: 1, column: outputs }, Strides { row: inputs, column: 1 });
        let program = linear::product_program([outputs, inputs, tokens], a, b, accumulate);
        self.run(&program, &[grad_y, x, grad_weight]);
    }

    fn add_bias(&self, bias: &GpuBuffer, tokens: usize, width: usize, y: &mut GpuBuffer) {
        self.run(&linear::add_bias_program(tokens, width), &[bias, y]);
    }

    fn add_bias_backward(
        &self,
        grad_y: &GpuBuffer,
        tokens: usize,
        width: usize,
        grad_bias: &mut GpuBuffer,
    ) {
        self.run(&linear::add_bias_backward_program(tokens, width), &[grad_y, grad_bias]);
    }

    fn gather_rows(
        &self,
        x: &GpuBuffer,
        rows: &GpuBuffer,
        first: usize,
        count: usize,
        width: usize,
        out: &mut GpuBuffer,
    ) {
        self.run(&rows::gather_rows_program(first, count, width), &[x, rows, out]);
    }

    fn scatter_rows(
        &self,
        x: &GpuBuffer,
        rows: &GpuBuffer,
        first: usize,
        count: usize,
        width: usize,
        out: &mut GpuBuffer,
    ) {
        self.run(&rows::scatter_rows_program(first, count, width), &[x, rows, out]);
    }

    fn cross_entropy(
        &self,
        logits: &mut GpuBuffer,
        targets: &GpuBuffer,
        first: usize,
        count: usize,
        vocab: usize,
        backward: Option<f32>,
        losses: &mut GpuBuffer,
    ) {
        let program = cross_entropy::cross_entropy_program(first, count, vocab, backward);
        self.run(&program, &[targets, logits, losses]);
    }

    fn materialise(
        &self,
        stored: &GpuBuffer,
        format: Format,
        elements: usize,
        deltas: Option<(&GpuBuffer, &GpuBuffer, usize)>,
        weights: &mut GpuBuffer,
    ) {
        self.run(&delta::materialise_program(format, elements), &[stored, weights]);
        if let Some((indices, values, _)) = deltas {
            let program = delta::add_deltas_program(indices.len());
            self.run(&program, &[indices, values, weights]);
        }
    }
}
