//! A block's backward pass: `block` in mirrored order.

use super::block::{Layer, Pass};
use super::config::{activation_of, norm_of};
use super::linear::{LinearBackward, Window};
use super::workspace::{Activations, BlockGrads, BlockScratch};
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
        scratch: &mut BlockScratch<D>,
        grads: &mut BlockGrads<D>,
    ) {
        let (device, tokens) = (pass.device, pass.batch.tokens.len());
        let act = activation_of(pass.config);
        let BlockGrads { stream, normed, activation, gate, up, .. } = grads;
        let BlockScratch { activation: activated, linear, normed: entered } = &mut *scratch;

        pass.activate(&kept.opened, activated);
        let grad = self.feed.leave_backward(pass, kept.raw_down.as_ref(), stream, normed);
        let down = [(&mut self.down, grad)];
        LinearBackward { x: activated, tokens, window }.run(device, down, linear, activation);
        device.glu_backward(act, kept.opened.view(), activation, pass.opened_count(), gate, up);
        let layers = [(&mut self.gate, &*gate), (&mut self.up, &*up)];
        let x = self.feed.enter(pass, &kept.middle, entered);
        LinearBackward { x, tokens, window }.run(device, layers, linear, normed);
        self.feed.enter_backward(pass, &kept.middle, normed, stream);

        self.attend_backward(pass, window, input, kept, scratch, grads);
        self.attention.enter_backward(pass, input, &grads.normed, &mut grads.stream);
    }

    /// The attention half: from `grads.stream` to `grads.normed`, the gradient in what q, k and v read.
    fn attend_backward(
        &mut self,
        pass: &Pass<D>,
        window: Window,
        input: &D::Buffer,
        kept: &Activations<D>,
        scratch: &mut BlockScratch<D>,
        grads: &mut BlockGrads<D>,
    ) {
        let (device, tokens, shape) = (pass.device, pass.batch.tokens.len(), self.shape);
        let BlockGrads { stream, normed, attended, q, k, v, raw, .. } = grads;
        let BlockScratch { linear, normed: entered, .. } = scratch;
        let grad = self.attention.leave_backward(pass, kept.raw_o.as_ref(), stream, normed);
        let o = [(&mut self.o, grad)];
        LinearBackward { x: &kept.attended, tokens, window }.run(device, o, linear, attended);
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
            if let Some(rope) = self.rope {
                let rotations = &pass.rotations[rope];
                device.rope(grad, rotations, tokens, count, shape.head_dim, Direction::Backward);
            }
            if let (Some(norm), Some(x), Some(raw)) = (norm, x, &mut *raw) {
                let entries = tokens * count * shape.head_dim;
                let (width, kind) = (norm.columns, norm_of(pass.config));
                let operands = NormBackward { x, weight: &norm.data, grad_y: &*grad };
                let grad_weight = norm.trained.as_mut().map(|trained| &mut trained.grads);
                device.rms_norm_backward(
                    operands,
                    entries / width,
                    width,
                    kind,
                    false,
                    raw,
                    grad_weight,
                );
                device.copy(raw, entries, grad, 0);
            }
        }
        let layers = [(&mut self.q, &*q), (&mut self.k, &*k), (&mut self.v, &*v)];
        let x = self.attention.enter(pass, input, entered);
        LinearBackward { x, tokens, window }.run(device, layers, linear, normed);
    }
}
