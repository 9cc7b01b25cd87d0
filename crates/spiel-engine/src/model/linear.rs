//! A linear layer with optional bias and deltas: forward, and backward in everything that is trained.

use super::Builder;
use super::tensor::Tensor;
use super::workspace::LinearScratch;
use crate::delta::Delta;
use crate::device::{Device, ModuleSize, SampledLayer};
use crate::error::Result;
use spiel_kernels::ops::linear::LinearShape;

/// The name and shape of a linear layer.
pub(crate) struct LinearSpec {
    /// Such as `model.layers.0.self_attn.q_proj`.
    pub(crate) module: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) bias: bool,
}

/// y = x·(W + deltas)ᵀ + bias.
pub(crate) struct Linear<D: Device> {
    pub(crate) module: String,
    pub(crate) weight: Tensor<D>,
    pub(crate) bias: Option<Tensor<D>>,
    pub(crate) delta: Option<Delta<D>>,
}

/// What a selection window does in a backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Window {
    /// No window is open.
    Closed,
    /// This is the window's first micro-batch, which chooses the candidates.
    Choose,
    /// A later micro-batch, which accumulates at them.
    Accumulate,
}

impl<D: Device> Linear<D> {
    pub(crate) fn new(
        builder: &mut Builder<D>,
        spec: LinearSpec,
        deltas: Option<u32>,
    ) -> Result<Self> {
        let LinearSpec { module, inputs, outputs, bias } = spec;
        let weight = builder.tensor(format!("{module}.weight"), &[outputs, inputs])?;
        let bias =
            if bias { Some(builder.tensor(format!("{module}.bias"), &[outputs])?) } else { None };
        let delta = match deltas {
            Some(count) => Some(Delta::new(builder.arena, &weight, count, builder.options)?),
            None => None,
        };
        Ok(Self { module, weight, bias, delta })
    }

    fn shape(&self, tokens: usize) -> LinearShape {
        self.weight.linear_shape(tokens)
    }

    /// Its size, if it carries deltas.
    pub(crate) fn delta_size(&self) -> Option<ModuleSize> {
        let Tensor { rows, columns, .. } = self.weight;
        self.delta.as_ref().map(|delta| ModuleSize {
            deltas: delta.count,
            inputs: columns,
            outputs: rows,
        })
    }

    /// The deltas that are added to the weight.
    fn active(&self) -> Option<(&D::Buffer, &D::Buffer)> {
        let delta = self.delta.as_ref().filter(|delta| delta.attached);
        delta.map(|delta| (&delta.indices, &delta.values))
    }

    /// y `[T, out]` of x `[T, in]`.
    pub(crate) fn forward(
        &self,
        device: &D,
        x: &D::Buffer,
        tokens: usize,
        scratch: &mut LinearScratch<D>,
        y: &mut D::Buffer,
    ) {
        self.weight.forward(device, self.active(), x, tokens, scratch, y);
        if let Some(bias) = &self.bias {
            device.add_bias(&bias.data, tokens, self.weight.rows, y);
        }
    }

    /// Adds the gradients of what is trained here but for deltas, at which it only chooses candidates. The gradient in x
    /// replaces `grad_x`, or is added to it.
    fn backward(
        &mut self,
        device: &D,
        pass: &LinearBackward<D>,
        scratch: &mut LinearScratch<D>,
        grad_y: &D::Buffer,
        accumulate: bool,
        grad_x: &mut D::Buffer,
    ) {
        let shape = self.shape(pass.tokens);
        device.linear_backward_input(
            grad_y,
            self.weight.factor(device, self.active(), scratch),
            shape,
            accumulate,
            grad_x,
        );
        if let Some(trained) = &mut self.weight.trained {
            device.linear_backward_weight(grad_y, pass.x, shape, true, &mut trained.grads);
        }
        if let Some(trained) = self.bias.as_mut().and_then(|bias| bias.trained.as_mut()) {
            device.add_bias_backward(grad_y, pass.tokens, shape.outputs, &mut trained.grads);
        }
        if pass.window == Window::Choose
            && let Some(delta) = self.delta.as_mut().filter(|delta| delta.attached)
            && let Some(candidates) =
                delta.training.as_mut().and_then(|training| training.candidates.as_mut())
        {
            let weights = &mut scratch.weights;
            device.linear_backward_weight(grad_y, pass.x, shape, false, weights);
            device.choose_candidates(weights, shape.inputs * shape.outputs, candidates);
        }
    }

    /// The layer as one whose gradients are sampled, if its deltas get any.
    fn sampled<'a>(
        &'a mut self,
        window: Window,
        grad_y: &'a D::Buffer,
    ) -> Option<SampledLayer<'a, D::Buffer>> {
        let delta = self.delta.as_mut().filter(|delta| delta.attached)?;
        let training = delta.training.as_mut()?;
        Some(SampledLayer {
            grad_y,
            outputs: self.weight.rows,
            indices: &delta.indices,
            grads: &mut training.grads,
            candidates: training.candidates.as_mut().filter(|_| window == Window::Accumulate),
        })
    }
}

/// The backward pass of linear layers that share an input.
pub(crate) struct LinearBackward<'a, D: Device> {
    pub(crate) x: &'a D::Buffer,
    pub(crate) tokens: usize,
    pub(crate) window: Window,
}

impl<D: Device> LinearBackward<'_, D> {
    /// Runs the layers with their output gradients; `grad_x [T, in]` becomes the sum of their input gradients.
    pub(crate) fn run<const N: usize>(
        &self,
        device: &D,
        mut layers: [(&mut Linear<D>, &D::Buffer); N],
        scratch: &mut LinearScratch<D>,
        grad_x: &mut D::Buffer,
    ) {
        for (number, (layer, grad_y)) in layers.iter_mut().enumerate() {
            layer.backward(device, self, scratch, grad_y, number > 0, grad_x);
        }
        let inputs = layers.first().map_or(0, |(layer, _)| layer.weight.columns);
        let sampled =
            layers.iter_mut().filter_map(|(layer, grad_y)| layer.sampled(self.window, grad_y));
        let mut sampled: Vec<_> = sampled.collect();
        if !sampled.is_empty() {
            let scratch = &mut scratch.sampling;
            device.sampled_gradients(self.x, self.tokens, inputs, &mut sampled, scratch);
        }
    }
}
