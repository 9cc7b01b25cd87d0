//! Forward and backward operations, by the kernels' CPU functions.

use super::weights::{self, Weights};
use super::{CpuDevice, Words, work};
use crate::device::{AttentionPass, BlockOps, Factor, Gated, NormBackward, Qkv, Stored};
use spiel_kernels::element::Element;
use spiel_kernels::formats::Format;
use spiel_kernels::ops::attention::{self, AttentionGrads, AttentionInputs, Heads, Span};
use spiel_kernels::ops::cross_entropy::{self, Backward};
use spiel_kernels::ops::glu::{self, Activation};
use spiel_kernels::ops::linear::{self, LinearShape};
use spiel_kernels::ops::rms_norm::{self, Norm};
use spiel_kernels::ops::rope::{self, Direction};
use spiel_kernels::ops::{add, delta, embedding, rows, scale, soft_cap};
use spiel_kernels::product::round_to_bf16;

impl BlockOps for CpuDevice {
    fn embedding(
        &self,
        tokens: &Words,
        count: usize,
        table: &Words,
        format: Format,
        width: usize,
        x: &mut Words,
    ) {
        let (tokens, x) = (&tokens.0[..count], x.floats_mut());
        self.perform(
            "embedding",
            || work::embedding(format, count, width),
            || {
                embedding::embedding(tokens, table.bytes(), format, width, x);
            },
        );
    }

    fn embedding_backward(
        &self,
        tokens: &Words,
        count: usize,
        grad_x: &Words,
        width: usize,
        grad_table: &mut Words,
    ) {
        let (tokens, grad_table) = (&tokens.0[..count], grad_table.floats_mut());
        let work = || embedding::embedding_backward_program(count, width, &(0..0)).work;
        self.perform("embedding_backward", work, || {
            embedding::embedding_backward(tokens, grad_x.floats(), width, grad_table);
        });
    }

    fn rms_norm(
        &self,
        x: &Words,
        weight: &Words,
        rows: usize,
        width: usize,
        norm: Norm,
        y: &mut Words,
    ) {
        let y = &mut y.floats_mut()[..rows * width];
        let work = || rms_norm::rms_norm_program(rows, width, norm).work;
        self.perform("rms_norm", work, || {
            rms_norm::rms_norm(x.floats(), weight.floats(), norm, y);
        });
    }

    fn rms_norm_backward(
        &self,
        operands: NormBackward<Words>,
        rows: usize,
        width: usize,
        norm: Norm,
        accumulate: bool,
        grad_x: &mut Words,
        grad_weight: Option<&mut Words>,
    ) {
        let count = rows * width;
        let (x, grad_y) = (&operands.x.floats()[..count], &operands.grad_y.floats()[..count]);
        let grad_x = &mut grad_x.floats_mut()[..count];
        let grad_weight = grad_weight.map(Words::floats_mut);
        let trains_weight = grad_weight.is_some();
        let work = || work::rms_norm_backward(rows, width, norm, accumulate, trains_weight);
        self.perform("rms_norm_backward", work, || {
            rms_norm::rms_norm_backward(
                x,
                operands.weight.floats(),
                norm,
                grad_y,
                accumulate,
                grad_x,
                grad_weight,
            );
        });
    }

    fn rope(
        &self,
        x: &mut Words,
        rotations: &Words,
        tokens: usize,
        heads: usize,
        head_dim: usize,
        direction: Direction,
    ) {
        let x = &mut x.floats_mut()[..tokens * heads * head_dim];
        let work = || rope::rope_program(tokens, heads, head_dim, direction).work;
        self.perform("rope", work, || {
            rope::rope(x, rotations.floats(), heads, head_dim, direction);
        });
    }

    fn attention(
        &self,
        inputs: Qkv<&Words>,
        heads: Heads,
        spans: &[Span],
        out: &mut Words,
        log_sums: &mut Words,
    ) {
        let inputs =
            AttentionInputs { q: inputs.q.floats(), k: inputs.k.floats(), v: inputs.v.floats() };
        self.perform(
            "attention",
            || attention::attention_work(spans, heads),
            || {
                attention::attention(inputs, heads, spans, out.floats_mut(), log_sums.floats_mut());
            },
        );
    }

    fn attention_backward(
        &self,
        pass: AttentionPass<Words>,
        heads: Heads,
        spans: &[Span],
        grads: Qkv<&mut Words>,
    ) {
        let inputs = AttentionInputs {
            q: pass.inputs.q.floats(),
            k: pass.inputs.k.floats(),
            v: pass.inputs.v.floats(),
        };
        let grads = AttentionGrads {
            q: grads.q.floats_mut(),
            k: grads.k.floats_mut(),
            v: grads.v.floats_mut(),
        };
        self.perform(
            "attention_backward",
            || attention::attention_backward_work(spans, heads),
            || {
                attention::attention_backward(
                    inputs,
                    heads,
                    spans,
                    pass.out.floats(),
                    pass.log_sums.floats(),
                    pass.grad_out.floats(),
                    grads,
                );
            },
        );
    }

    fn glu(&self, activation: Activation, gated: Gated<Words>, count: usize, out: &mut Words) {
        let out = &mut out.floats_mut()[..count];
        let work = || glu::glu_work(gated.element, count);
        self.perform("glu", work, || glu::glu(activation, gated.numbers(), out));
    }

    fn glu_backward(
        &self,
        activation: Activation,
        gated: Gated<Words>,
        grad: &Words,
        count: usize,
        grad_gate: &mut Words,
        grad_up: &mut Words,
    ) {
        let (grad_gate, grad_up) =
            (&mut grad_gate.floats_mut()[..count], &mut grad_up.floats_mut()[..count]);
        let work = || glu::glu_backward_work(gated.element, count);
        self.perform("glu_backward", work, || {
            glu::glu_backward(activation, gated.numbers(), grad.floats(), grad_gate, grad_up);
        });
    }

    fn round(&self, x: &Words, count: usize, y: &mut Words) {
        let y = &mut y.halves_mut()[..count];
        self.perform("round", || work::round(count), || round_to_bf16(x.floats(), y));
    }

    fn add(&self, x: &Words, count: usize, y: &mut Words) {
        let (x, y) = (x.floats(), &mut y.floats_mut()[..count]);
        self.perform("add", || add::add_program(count).work, || add::add(x, y));
    }

    fn scale(&self, factor: f32, count: usize, x: &mut Words) {
        let x = &mut x.floats_mut()[..count];
        let work = || scale::scale_program(factor, count).work;
        self.perform("scale", work, || scale::scale(factor, x));
    }

    fn keeps_weights_in(&self, element: Element) -> bool {
        weights::can_be_in(element)
    }

    fn fastest_element(&self) -> Element {
        weights::fastest_element()
    }

    fn is_right_in(&self, element: Element) -> bool {
        weights::are_right_in(element)
    }

    fn multiplies_stored(&self, element: Element) -> bool {
        weights::are_multiplied_stored(element)
    }

    fn linear<'a>(
        &self,
        x: &Words,
        weight: impl Into<Factor<'a, Words>>,
        shape: LinearShape,
        y: &mut Words,
    ) {
        let LinearShape { tokens, inputs, outputs } = shape;
        let weight = weight.into();
        let work = || work::product([tokens, outputs, inputs], &weight, false);
        let (x, y) = (x.floats(), y.floats_mut());
        let name = if weight.is_rounded() { "product_nt_bf16" } else { "product_nt" };
        self.perform(name, work, || Weights::of(weight, shape).linear(x, shape, y));
    }

    fn linear_packed(
        &self,
        x: &Words,
        weight: &Stored<Words>,
        shape: LinearShape,
        y: &mut Words,
    ) -> bool {
        // Panels share what they decode between tokens.
        if shape.tokens != 1 {
            return false;
        }
        let Stored { data, format, deltas } = *weight;
        let deltas = weights::slices(deltas);
        let (x, y) = (&x.floats()[..shape.inputs], &mut y.floats_mut()[..shape.outputs]);
        let sizes = [shape.inputs, shape.outputs];
        let work = || work::linear_packed(format, sizes, deltas.0.len());
        self.perform("linear_packed", work, || {
            linear::linear_packed(format, data.bytes(), deltas, x, y);
        });
        true
    }

    fn linear_backward_input<'a>(
        &self,
        grad_y: &Words,
        weight: impl Into<Factor<'a, Words>>,
        shape: LinearShape,
        accumulate: bool,
        grad_x: &mut Words,
    ) {
        let LinearShape { tokens, inputs, outputs } = shape;
        let weight = weight.into();
        let work = || work::product([tokens, inputs, outputs], &weight, accumulate);
        let (grad_y, grad_x) = (grad_y.floats(), grad_x.floats_mut());
        let name = if weight.is_rounded() { "product_nn_bf16" } else { "product_nn" };
        self.perform(name, work, || {
            Weights::of(weight, shape).backward_input(grad_y, shape, accumulate, grad_x);
        });
    }

    fn linear_backward_weight(
        &self,
        grad_y: &Words,
        x: &Words,
        shape: LinearShape,
        accumulate: bool,
        grad_weight: &mut Words,
    ) {
        let LinearShape { tokens, inputs, outputs } = shape;
        let (grad_y, x, grad_weight) = (grad_y.floats(), x.floats(), grad_weight.floats_mut());
        let work = || linear::product_work([outputs, inputs, tokens], Element::F32, accumulate);
        self.perform("product_tn", work, || {
            linear::linear_backward_weight(grad_y, x, shape, accumulate, grad_weight);
        });
    }

    fn add_bias(&self, bias: &Words, tokens: usize, width: usize, y: &mut Words) {
        let y = &mut y.floats_mut()[..tokens * width];
        let work = || linear::add_bias_program(tokens, width).work;
        self.perform("add_bias", work, || linear::add_bias(bias.floats(), y));
    }

    fn add_bias_backward(
        &self,
        grad_y: &Words,
        tokens: usize,
        width: usize,
        grad_bias: &mut Words,
    ) {
        let grad_y = &grad_y.floats()[..tokens * width];
        let work = || linear::add_bias_backward_program(tokens, width).work;
        self.perform("add_bias_backward", work, || {
            linear::add_bias_backward(grad_y, grad_bias.floats_mut());
        });
    }

    fn gather_rows(
        &self,
        x: &Words,
        rows: &Words,
        first: usize,
        count: usize,
        width: usize,
        out: &mut Words,
    ) {
        let rows = &rows.0[first..first + count];
        let work = || rows::gather_rows_program(&(0..count), width, &(0..0)).work;
        self.perform("gather_rows", work, || {
            rows::gather_rows(x.floats(), rows, width, out.floats_mut());
        });
    }

    fn scatter_rows(
        &self,
        x: &Words,
        rows: &Words,
        first: usize,
        count: usize,
        width: usize,
        out: &mut Words,
    ) {
        let rows = &rows.0[first..first + count];
        let work = || rows::scatter_rows_program(&(0..count), width, &(0..0)).work;
        self.perform("scatter_rows", work, || {
            rows::scatter_rows(x.floats(), rows, width, out.floats_mut());
        });
    }

    fn soft_cap(&self, cap: f32, count: usize, x: &mut Words) {
        let x = &mut x.floats_mut()[..count];
        let work = || soft_cap::soft_cap_program(count, cap).work;
        self.perform("soft_cap", work, || soft_cap::soft_cap(cap, x));
    }

    fn cross_entropy(
        &self,
        logits: &mut Words,
        targets: &Words,
        first: usize,
        count: usize,
        vocab: usize,
        backward: Option<Backward>,
        losses: &mut Words,
    ) {
        let (targets, losses) =
            (&targets.0[first..first + count], &mut losses.floats_mut()[first..first + count]);
        let logits = &mut logits.floats_mut()[..count * vocab];
        let work = || cross_entropy::cross_entropy_program(first, count, vocab, backward).work;
        self.perform("cross_entropy", work, || match backward {
            None => cross_entropy::cross_entropy(logits, targets, losses),
            Some(backward) => {
                cross_entropy::cross_entropy_backward(logits, targets, backward, losses);
            }
        });
    }

    fn materialise(
        &self,
        stored: &Stored<Words>,
        elements: usize,
        element: Element,
        weights: &mut Words,
    ) {
        let Stored { data, format, deltas } = *stored;
        let deltas = weights::slices(deltas);
        let work = || work::materialise(format, element, elements, deltas.0.len());
        self.perform("materialise", work, || {
            if element == Element::Bf16 {
                let weights = &mut bytemuck::cast_slice_mut(&mut weights.0)[..elements];
                delta::materialise_bf16(format, data.bytes(), deltas, weights);
            } else {
                let weights = &mut weights.floats_mut()[..elements];
                delta::materialise(format, data.bytes(), deltas, weights);
            }
        });
    }
}
