//! Forward and backward operations, by the kernels' programs.

use super::product::Operand;
use super::{GpuBuffer, GpuDevice};
use crate::device::{AttentionPass, BlockOps, Factor, Gated, NormBackward, Qkv, Stored};
use spiel_kernels::element::Element;
use spiel_kernels::formats::Format;
use spiel_kernels::ops::attention::{Heads, LARGEST_HEAD, Span};
use spiel_kernels::ops::cross_entropy::{self, Backward};
use spiel_kernels::ops::glu::{self, Activation};
use spiel_kernels::ops::linear::{self, LinearShape};
use spiel_kernels::ops::rms_norm::{self, Norm};
use spiel_kernels::ops::rope::{self, Direction};
use spiel_kernels::ops::{add, delta, embedding, rows, scale, soft_cap};

/// Most tokens for which reading packed weights again and again costs less than decoding them for dense tiles.
const FEW_TOKENS: usize = 8;

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
        let (row, vocab) = rows_of(table, format.bytes(width));
        for part in self.cuts(count, &[4, width * 4]) {
            for window in self.cuts(vocab, &[row]) {
                let program = embedding::embedding_program(format, part.len(), width, &window);
                let (tokens, x) = (self.part(tokens, &part, 4), self.part(x, &part, width * 4));
                self.run(&program, &[self.part(table, &window, row), tokens, x]);
            }
        }
    }

    fn embedding_backward(
        &self,
        tokens: &GpuBuffer,
        count: usize,
        grad_x: &GpuBuffer,
        width: usize,
        grad_table: &mut GpuBuffer,
    ) {
        let (row, vocab) = rows_of(grad_table, width * 4);
        for part in self.cuts(count, &[4, row]) {
            for window in self.cuts(vocab, &[row]) {
                let program = embedding::embedding_backward_program(part.len(), width, &window);
                let (tokens, grad_x) = (self.part(tokens, &part, 4), self.part(grad_x, &part, row));
                self.run(&program, &[tokens, grad_x, self.part(grad_table, &window, row)]);
            }
        }
    }

    fn rms_norm(
        &self,
        x: &GpuBuffer,
        weight: &GpuBuffer,
        rows: usize,
        width: usize,
        norm: Norm,
        y: &mut GpuBuffer,
    ) {
        for part in self.cuts(rows, &[width * 4]) {
            let [x, y] = [x, y].map(|buffer| self.part(buffer, &part, width * 4));
            let program = rms_norm::rms_norm_program(part.len(), width, norm);
            self.run(&program, &[x, weight.whole(), y]);
        }
    }

    fn rms_norm_backward(
        &self,
        operands: NormBackward<GpuBuffer>,
        rows: usize,
        width: usize,
        norm: Norm,
        accumulate: bool,
        grad_x: &mut GpuBuffer,
        grad_weight: Option<&mut GpuBuffer>,
    ) {
        let NormBackward { x, weight, grad_y } = operands;
        for part in self.cuts(rows, &[width * 4]) {
            let [x, grad_y, grad_x] =
                [x, grad_y, grad_x].map(|buffer| self.part(buffer, &part, width * 4));
            let inverses = self.temporary(part.len());
            let program = rms_norm::rms_norm_backward_program(part.len(), width, norm, accumulate);
            self.run(&program, &[x, weight.whole(), grad_y, grad_x, inverses.whole()]);
            if let Some(grad_weight) = &grad_weight {
                let program = rms_norm::rms_norm_weight_backward_program(part.len(), width);
                self.run(&program, &[x, grad_y, inverses.whole(), grad_weight.whole()]);
            }
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
        let (turns, row) = (head_dim * 4, heads * head_dim * 4);
        for part in self.cuts(tokens, &[turns, row]) {
            let program = rope::rope_program(part.len(), heads, head_dim, direction);
            self.run(&program, &[self.part(rotations, &part, turns), self.part(x, &part, row)]);
        }
    }

    fn attention(
        &self,
        inputs: Qkv<&GpuBuffer>,
        heads: Heads,
        spans: &[Span],
        out: &mut GpuBuffer,
        log_sums: &mut GpuBuffer,
    ) {
        self.attend(inputs, heads, spans, [out, log_sums]);
    }

    fn largest_trained_head(&self) -> usize {
        LARGEST_HEAD
    }

    fn attention_backward(
        &self,
        pass: AttentionPass<GpuBuffer>,
        heads: Heads,
        spans: &[Span],
        grads: Qkv<&mut GpuBuffer>,
    ) {
        self.attend_backward(pass, heads, spans, grads);
    }

    fn glu(
        &self,
        activation: Activation,
        Gated { gate, up, .. }: Gated<GpuBuffer>,
        count: usize,
        out: &mut GpuBuffer,
    ) {
        for part in self.cuts(count, &[4]) {
            let buffers = [gate, up, out].map(|buffer| self.part(buffer, &part, 4));
            self.run(&glu::glu_program(activation, part.len()), &buffers);
        }
    }

    fn glu_backward(
        &self,
        activation: Activation,
        Gated { gate, up, .. }: Gated<GpuBuffer>,
        grad: &GpuBuffer,
        count: usize,
        grad_gate: &mut GpuBuffer,
        grad_up: &mut GpuBuffer,
    ) {
        for part in self.cuts(count, &[4]) {
            let buffers = [gate, up, grad, grad_gate, grad_up];
            let buffers = buffers.map(|buffer| self.part(buffer, &part, 4));
            self.run(&glu::glu_backward_program(activation, part.len()), &buffers);
        }
    }

    fn add(&self, x: &GpuBuffer, count: usize, y: &mut GpuBuffer) {
        for part in self.cuts(count, &[4]) {
            let buffers = [x, y].map(|buffer| self.part(buffer, &part, 4));
            self.run(&add::add_program(part.len()), &buffers);
        }
    }

    fn scale(&self, factor: f32, count: usize, x: &mut GpuBuffer) {
        for part in self.cuts(count, &[4]) {
            self.run(&scale::scale_program(factor, part.len()), &[self.part(x, &part, 4)]);
        }
    }

    fn keeps_weights_in(&self, element: Element) -> bool {
        match element {
            Element::F32 => true,
            Element::F16 => self.device.features().contains(wgpu::Features::SHADER_F16),
            Element::Bf16 => false,
        }
    }

    fn linear<'a>(
        &self,
        x: &GpuBuffer,
        weight: impl Into<Factor<'a, GpuBuffer>>,
        shape: LinearShape,
        y: &mut GpuBuffer,
    ) {
        let LinearShape { tokens, inputs, outputs } = shape;
        let (x, weight) = (Operand::new(x, inputs), Operand::weights(weight.into(), inputs));
        let y = Operand::new(y, outputs);
        self.product([tokens, outputs, inputs], x, weight.transposed(), y, false);
    }

    fn linear_packed(
        &self,
        x: &GpuBuffer,
        weight: &Stored<GpuBuffer>,
        shape: LinearShape,
        y: &mut GpuBuffer,
    ) -> bool {
        let LinearShape { tokens, inputs, outputs } = shape;
        let fits = |width: usize| tokens * width * 4 <= self.binding_bytes;
        if tokens > FEW_TOKENS || !fits(inputs) || !fits(outputs) {
            return false;
        }
        let Stored { data, format, deltas } = *weight;
        let (row, tiling) = (format.bytes(inputs), self.tiling.get());
        for rows in self.cuts(outputs, &[row]) {
            let program =
                linear::linear_packed_program(tiling, format, tokens, [inputs, outputs], &rows);
            self.run(&program, &[self.part(data, &rows, row), x.whole(), y.whole()]);
        }
        if let Some((indices, values)) = deltas {
            let count = indices.len();
            let program = linear::linear_deltas_program(tiling, count, tokens, [inputs, outputs]);
            self.run(&program, &[indices, values, x, y]);
        }
        true
    }

    fn linear_backward_input<'a>(
        &self,
        grad_y: &GpuBuffer,
        weight: impl Into<Factor<'a, GpuBuffer>>,
        shape: LinearShape,
        accumulate: bool,
        grad_x: &mut GpuBuffer,
    ) {
        let LinearShape { tokens, inputs, outputs } = shape;
        let weight = Operand::weights(weight.into(), inputs);
        let (grad_y, grad_x) = (Operand::new(grad_y, outputs), Operand::new(grad_x, inputs));
        self.product([tokens, inputs, outputs], grad_y, weight, grad_x, accumulate);
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
        let (grad_y, x) = (Operand::new(grad_y, outputs), Operand::new(x, inputs));
        let grad_weight = Operand::new(grad_weight, inputs);
        self.product([outputs, inputs, tokens], grad_y.transposed(), x, grad_weight, accumulate);
    }

    fn add_bias(&self, bias: &GpuBuffer, tokens: usize, width: usize, y: &mut GpuBuffer) {
        for part in self.cuts(tokens, &[width * 4]) {
            let program = linear::add_bias_program(part.len(), width);
            self.run(&program, &[bias.whole(), self.part(y, &part, width * 4)]);
        }
    }

    fn add_bias_backward(
        &self,
        grad_y: &GpuBuffer,
        tokens: usize,
        width: usize,
        grad_bias: &mut GpuBuffer,
    ) {
        for part in self.cuts(tokens, &[width * 4]) {
            let program = linear::add_bias_backward_program(part.len(), width);
            self.run(&program, &[self.part(grad_y, &part, width * 4), grad_bias.whole()]);
        }
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
        let (row, total) = rows_of(x, width * 4);
        for part in self.cuts(count, &[row]) {
            let list = first + part.start..first + part.end;
            for window in self.cuts(total, &[row]) {
                let program = rows::gather_rows_program(&list, width, &window);
                let (x, out) = (self.part(x, &window, row), self.part(out, &part, row));
                self.run(&program, &[x, rows.whole(), out]);
            }
        }
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
        let (row, total) = rows_of(out, width * 4);
        for part in self.cuts(count, &[row]) {
            let list = first + part.start..first + part.end;
            for window in self.cuts(total, &[row]) {
                let program = rows::scatter_rows_program(&list, width, &window);
                let (x, out) = (self.part(x, &part, row), self.part(out, &window, row));
                self.run(&program, &[x, rows.whole(), out]);
            }
        }
    }

    fn soft_cap(&self, cap: f32, count: usize, x: &mut GpuBuffer) {
        for part in self.cuts(count, &[4]) {
            let program = soft_cap::soft_cap_program(part.len(), cap);
            self.run(&program, &[self.part(x, &part, 4)]);
        }
    }

    fn cross_entropy(
        &self,
        logits: &mut GpuBuffer,
        targets: &GpuBuffer,
        first: usize,
        count: usize,
        vocab: usize,
        backward: Option<Backward>,
        losses: &mut GpuBuffer,
    ) {
        for part in self.cuts(count, &[vocab * 4]) {
            let (first, count) = (first + part.start, part.len());
            let program = cross_entropy::cross_entropy_program(first, count, vocab, backward);
            let logits = self.part(logits, &part, vocab * 4);
            self.run(&program, &[targets.whole(), logits, losses.whole()]);
        }
    }

    fn materialise(
        &self,
        stored: &Stored<GpuBuffer>,
        elements: usize,
        element: Element,
        weights: &mut GpuBuffer,
    ) {
        let Stored { data, format, deltas } = *stored;
        let (block, bytes) = (format.block_elements(), format.block_bytes());
        let dense = block * element.bytes();
        for part in self.cuts(elements / block, &[bytes, dense]) {
            let (data, weights) = (self.part(data, &part, bytes), self.part(weights, &part, dense));
            let window = part.start * block..part.end * block;
            let program = delta::materialise_program(format, element, window.len());
            self.run(&program, &[data, weights]);
            if let Some((indices, values)) = deltas {
                let count = indices.len();
                let program = delta::add_deltas_program(format, element, count, &window);
                self.run(&program, &[data, indices.whole(), values.whole(), weights]);
            }
        }
    }
}

/// Bytes of a row, and how many rows a buffer holds.
fn rows_of(buffer: &GpuBuffer, bytes: usize) -> (usize, usize) {
    (bytes, buffer.len() * 4 / bytes.max(1))
}
