//! A block's backward pass: `block` in mirrored order.

use super::block::{ForwardScratch, Layer, Pass};
use super::config::{Attention, activation_of, norm_of};
use super::linear::{LinearBackward, Window};
use super::tensor::Tensor;
use super::workspace::{Activations, BlockGrads};
use crate::device::{AttentionPass, Device, NormBackward, Qkv};
use spiel_kernels::ops::rope::Direction;

impl<D: Device> Layer<D> {
    /// Turns `grads.stream` from the gradient in the output into that in the input, and adds the gradients of what is
    /// trained here.
    pub(crate) fn backward(
        &mut self,
        pass: &Pass<D>,
        window: Window,
        input: &D::Buffer,
        kept: &Activations<D>,
        scratch: &mut ForwardScratch<D>,
        grads: &mut BlockGrads<D>,
    ) {
        let (device, tokens) = (pass.device, pass.batch.tokens.len());
        let count = tokens * pass.config.intermediate_size as usize;
        let act = activation_of(pass.config);
        let BlockGrads { stream, normed, branch, activation, gate, up, .. } = &mut *grads;

        device.glu(act, &kept.gate, &kept.up, count, scratch.activation);
        let grad = pass.before_norm(&mut self.output_norm, &kept.raw_feed, stream, branch);
        let down = [(&mut self.down, grad)];
        LinearBackward { x: scratch.activation, tokens, window }.run(
            device,
            down,
            scratch.linear,
            activation,
        );
        device.glu_backward(act, &kept.gate, &kept.up, activation, count, gate, up);
        let layers = [(&mut self.gate, &*gate), (&mut self.up, &*up)];
        let x = kept.feed_input.as_ref().unwrap_or(&kept.middle);
        LinearBackward { x, tokens, window }.run(device, layers, scratch.linear, normed);
        pass.add_before_norm(&mut self.feed_norm, &kept.middle, normed, stream);

        self.attend_backward(pass, window, input, kept, scratch, grads);
        let BlockGrads { stream, normed, .. } = grads;
        pass.add_before_norm(&mut self.input_norm, input, normed, stream);
    }

    /// The attention half: from `grads.stream` to `grads.normed`, the gradient in the input of q, k and v.
    fn attend_backward(
        &mut self,
        pass: &Pass<D>,
        window: Window,
        input: &D::Buffer,
        kept: &Activations<D>,
        scratch: &mut ForwardScratch<D>,
        grads: &mut BlockGrads<D>,
    ) {
        let (device, tokens) = (pass.device, pass.batch.tokens.len());
        let Attention { heads: shape, rope } = self.attention;
        let BlockGrads { stream, normed, branch, attended, q, k, v, raw, .. } = grads;
        let grad = pass.before_norm(&mut self.attention_norm, &kept.raw_attention, stream, branch);
        let o = [(&mut self.o, grad)];
        LinearBackward { x: &kept.attended, tokens, window }.run(
            device,
            o,
            scratch.linear,
            attended,
        );
        let attention = AttentionPass {
            inputs: Qkv { q: &kept.q, k: &kept.k, v: &kept.v },
            out: &kept.attended,
            log_sums: &kept.log_sums,
            grad_out: attended,
        };
        let spans = &pass.batch.spans;
        device.attention_backward(
            attention,
            shape,
            spans,
            Qkv { q: &mut *q, k: &mut *k, v: &mut *v },
        );
        for (norm, x, grad, count) in [
            (&mut self.q_norm, &kept.raw_q, &mut *q, shape.heads),
            (&mut self.k_norm, &kept.raw_k, &mut *k, shape.kv_heads),
        ] {
            if let Some(rope) = rope {
                let rotations = &pass.rotations[rope];
                device.rope(grad, rotations, tokens, count, shape.head_dim, Direction::Backward);
            }
            if let (Some(norm), Some(x), Some(raw)) = (norm, x, &mut *raw) {
                let rows = tokens * count;
                pass.norm_backward(norm, x, grad, [rows, shape.head_dim], false, raw);
                device.copy(raw, rows * shape.head_dim, grad, 0);
            }
        }
        let layers = [(&mut self.q, &*q), (&mut self.k, &*k), (&mut self.v, &*v)];
        let x = kept.attention_input.as_ref().unwrap_or(input);
        LinearBackward { x, tokens, window }.run(device, layers, scratch.linear, normed);
    }
}

impl<D: Device> Pass<'_, D> {
    /// The gradient in a norm's input from that in its output, both of `[rows, width]`, and in its weights if trained.
    fn norm_backward(
        &self,
        norm: &mut Tensor<D>,
        x: &D::Buffer,
        grad_y: &D::Buffer,
        [rows, width]: [usize; 2],
        accumulate: bool,
        grad_x: &mut D::Buffer,
    ) {
        let operands = NormBackward { x, weight: &norm.data, grad_y };
        let grad_weight = norm.trained.as_mut().map(|trained| &mut trained.grads);
        let kind = norm_of(self.config);
        self.device.rms_norm_backward(operands, rows, width, kind, accumulate, grad_x, grad_weight);
    }

    fn stream_shape(&self) -> [usize; 2] {
        [self.batch.tokens.len(), self.config.hidden_size as usize]
    }

    /// The gradient in the output of a half, `raw`, from that in the stream: in `branch` where a norm stands behind it.
    fn before_norm<'b>(
        &self,
        norm: &mut Option<Tensor<D>>,
        raw: &Option<D::Buffer>,
        stream: &'b D::Buffer,
        branch: &'b mut Option<D::Buffer>,
    ) -> &'b D::Buffer {
        let (Some(norm), Some(raw), Some(branch)) = (norm, raw, branch) else { return stream };
        self.norm_backward(norm, raw, stream, self.stream_shape(), false, branch);
        branch
    }

    /// Adds the gradient in a half's input `x` to that in the stream, from `grad`, through the norm that stands before it.
    fn add_before_norm(
        &self,
        norm: &mut Option<Tensor<D>>,
        x: &D::Buffer,
        grad: &D::Buffer,
        stream: &mut D::Buffer,
    ) {
        let [tokens, hidden] = self.stream_shape();
        match norm {
            Some(norm) => self.norm_backward(norm, x, grad, [tokens, hidden], true, stream),
            None => self.device.add(grad, tokens * hidden, stream),
        }
    }
}
