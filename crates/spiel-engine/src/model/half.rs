//! What the two halves of a block have in common: a norm before or after, and the way back onto the residual stream.

use super::Builder;
use super::block::Pass;
use super::linear::Linear;
use super::tensor::Tensor;
use super::workspace::LinearScratch;
use crate::device::{Device, NormBackward};
use crate::error::Result;

/// The norms around the attention, or around the feed-forward layer.
pub(crate) struct Half<D: Device> {
    /// `[D]`: of what it reads from the stream.
    pub(crate) before: Option<Tensor<D>>,
    /// `[D]`: of what it adds to the stream.
    pub(crate) after: Option<Tensor<D>>,
}

impl<D: Device> Half<D> {
    /// Norms with these names.
    pub(crate) fn new(
        builder: &mut Builder<D>,
        before: Option<String>,
        after: Option<String>,
        hidden: usize,
    ) -> Result<Self> {
        let mut norm =
            |name: Option<String>| name.map(|name| builder.tensor(name, &[hidden])).transpose();
        Ok(Self { before: norm(before)?, after: norm(after)? })
    }

    /// What the linear layers read, `[T, D]`: the stream, normalised into `normed` where that is done before. It is not
    /// kept: to compute it again takes less than a hundredth of a step, and to keep it a sixth of all activations.
    pub(crate) fn enter<'a>(
        &self,
        pass: &Pass<D>,
        stream: &'a D::Buffer,
        normed: &'a mut D::Buffer,
    ) -> &'a D::Buffer {
        let Some(norm) = &self.before else { return stream };
        let (tokens, hidden, kind) = pass.norm();
        pass.device.rms_norm(stream, &norm.data, tokens, hidden, kind, normed);
        normed
    }

    /// `output [T, D]` becomes the stream with what the half's last layer makes of `x`; `raw` keeps that before a norm.
    pub(crate) fn leave(
        &self,
        pass: &Pass<D>,
        (linear, x): (&Linear<D>, &D::Buffer),
        stream: &D::Buffer,
        raw: &mut Option<D::Buffer>,
        scratch: &mut LinearScratch<D>,
        output: &mut D::Buffer,
    ) {
        let (device, (tokens, hidden, kind)) = (pass.device, pass.norm());
        if let (Some(norm), Some(raw)) = (&self.after, raw) {
            linear.forward(device, x, tokens, scratch, raw);
            device.rms_norm(raw, &norm.data, tokens, hidden, kind, output);
        } else {
            linear.forward(device, x, tokens, scratch, output);
        }
        if let Some(factor) = pass.config.residual_multiplier {
            device.scale(factor, tokens * hidden, output);
        }
        device.add(stream, tokens * hidden, output);
    }

    /// The gradient in the output of the half's last layer, from that in the stream; where they differ, it takes the
    /// place of `branch`. No model has both a norm after and a multiplier.
    pub(crate) fn leave_backward<'a>(
        &mut self,
        pass: &Pass<D>,
        raw: Option<&D::Buffer>,
        stream: &'a D::Buffer,
        branch: &'a mut D::Buffer,
    ) -> &'a D::Buffer {
        let (device, (tokens, hidden, kind)) = (pass.device, pass.norm());
        if let (Some(norm), Some(x)) = (&mut self.after, raw) {
            let operands = NormBackward { x, weight: &norm.data, grad_y: stream };
            let grad_weight = norm.trained.as_mut().map(|trained| &mut trained.grads);
            device.rms_norm_backward(operands, tokens, hidden, kind, false, branch, grad_weight);
            return branch;
        }
        let Some(factor) = pass.config.residual_multiplier else { return stream };
        device.copy(stream, tokens * hidden, branch, 0);
        device.scale(factor, tokens * hidden, branch);
        branch
    }

    /// Adds the gradient in what the linear layers read to that in the stream, which was `input`.
    pub(crate) fn enter_backward(
        &mut self,
        pass: &Pass<D>,
        input: &D::Buffer,
        grad: &D::Buffer,
        stream: &mut D::Buffer,
    ) {
        let (device, (tokens, hidden, kind)) = (pass.device, pass.norm());
        let Some(norm) = &mut self.before else {
            return device.add(grad, tokens * hidden, stream);
        };
        let operands = NormBackward { x: input, weight: &norm.data, grad_y: grad };
        let grad_weight = norm.trained.as_mut().map(|trained| &mut trained.grads);
        device.rms_norm_backward(operands, tokens, hidden, kind, true, stream, grad_weight);
    }
}
