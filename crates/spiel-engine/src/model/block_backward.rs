//! A block's backward pass: `block` in mirrored order.

use super::block::{ForwardScratch, Layer, Pass};
use super::config::{activation_of, heads, norm_of};
use super::linear::{LinearBackward, Window};
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
        let (hidden, feed) =
            (pass.config.hidden_size as usize, pass.config.intermediate_size as usize);
        let kind = norm_of(pass.config);
        let BlockGrads { stream, normed, activation, gate, up, .. } = grads;

        device.glu(
            activation_of(pass.config),
            &kept.gate,
            &kept.up,
            tokens * feed,
            scratch.activation,
        );
        let down = [(&mut self.down, &*stream)];
        LinearBackward { x: scratch.activation, tokens, window }.run(
            device,
            down,
            scratch.linear,
            activation,
        );
        let (of_gate, of_up) = (&kept.gate, &kept.up);
        device.glu_backward(
            activation_of(pass.config),
            of_gate,
            of_up,
            activation,
            tokens * feed,
            gate,
            up,
        );
        let layers = [(&mut self.gate, &*gate), (&mut self.up, &*up)];
        LinearBackward { x: &kept.feed_input, tokens, window }.run(
            device,
            layers,
            scratch.linear,
            normed,
        );
        let norm = NormBackward { x: &kept.middle, weight: &self.feed_norm.data, grad_y: normed };
        let grad_weight = self.feed_norm.trained.as_mut().map(|trained| &mut trained.grads);
        device.rms_norm_backward(norm, tokens, hidden, kind, true, stream, grad_weight);

        self.attend_backward(pass, window, kept, scratch, grads);
        let norm = NormBackward { x: input, weight: &self.input_norm.data, grad_y: &grads.normed };
        let grad_weight = self.input_norm.trained.as_mut().map(|trained| &mut trained.grads);
        device.rms_norm_backward(norm, tokens, hidden, kind, true, &mut grads.stream, grad_weight);
    }

    /// The attention half: from `grads.stream` to `grads.normed`, the gradient in the input norm's output.
    fn attend_backward(
        &mut self,
        pass: &Pass<D>,
        window: Window,
        kept: &Activations<D>,
        scratch: &mut ForwardScratch<D>,
        grads: &mut BlockGrads<D>,
    ) {
        let (device, tokens, shape) = (pass.device, pass.batch.tokens.len(), heads(pass.config));
        let BlockGrads { stream, normed, attended, q, k, v, raw, .. } = grads;
        let o = [(&mut self.o, &*stream)];
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
            device.rope(grad, pass.rotations, tokens, count, shape.head_dim, Direction::Backward);
            if let (Some(norm), Some(x), Some(raw)) = (norm, x, &mut *raw) {
                let (rows, kind) = (tokens * count, norm_of(pass.config));
                let operands = NormBackward { x, weight: &norm.data, grad_y: &*grad };
                let grad_weight = norm.trained.as_mut().map(|trained| &mut trained.grads);
                device.rms_norm_backward(
                    operands,
                    rows,
                    shape.head_dim,
                    kind,
                    false,
                    raw,
                    grad_weight,
                );
                device.copy(raw, rows * shape.head_dim, grad, 0);
            }
        }
        let layers = [(&mut self.q, &*q), (&mut self.k, &*k), (&mut self.v, &*v)];
        LinearBackward { x: &kept.attention_input, tokens, window }.run(
            device,
            layers,
            scratch.linear,
            normed,
        );
    }
}
