//! The output head: logits in chunks of rows, fused with the loss and its gradient.

use super::Model;
use super::batch::Batch;
use super::workspace::{BlockScratch, HeadScratch, Workspace};
use crate::arena::{reply_bytes, with_room};
use crate::device::Device;
use crate::error::Result;
use spiel_kernels::ops::cross_entropy::Backward;

impl<D: Device> Model<D> {
    /// What the hidden states are multiplied by before the head: a row of them is shorter than one of logits, which are
    /// thereby divided.
    fn logit_factor(&self) -> Option<f32> {
        self.config.logits_scaling.map(f32::recip)
    }

    /// Leaves the loss of every target in `workspace.batch.losses`, in the order of the batch's rows, from
    /// `workspace.block.normed`.
    ///
    /// With `backward`, the factor of the summed loss, the gradient in the hidden states is left in `grads.normed` and
    /// that of a trained head is added.
    pub(crate) fn losses(
        &mut self,
        device: &D,
        batch: &Batch,
        workspace: &mut Workspace<D>,
        backward: Option<f32>,
    ) {
        let (hidden, factor) = (self.config.hidden_size as usize, self.logit_factor());
        let targets = batch.targets.len();
        let soft_cap = self.config.final_logit_softcapping;
        let matrix = self.output_matrix_mut();
        let vocab = matrix.rows;
        let Workspace { batch: buffers, head, grads, block, .. } = workspace;
        let BlockScratch { normed: states, linear, .. } = block;
        let HeadScratch { rows, hidden: chunk, logits, grad_hidden } = head;
        let mut grads = grads.as_mut().zip(backward).map(|(grads, _)| grads);
        if let Some(grads) = &mut grads {
            device.clear(&mut grads.normed);
        }
        let loss_backward = backward.map(|scale| Backward { scale, soft_cap });
        let mut trained = matrix.trained.take();
        let weights = matrix.factor(device, None, linear);
        for first in (0..targets).step_by(*rows) {
            let count = targets.min(first + *rows) - first;
            let shape = matrix.linear_shape(count);
            device.gather_rows(states, &buffers.rows, first, count, hidden, chunk);
            if let Some(factor) = factor {
                device.scale(factor, count * hidden, chunk);
            }
            device.linear(chunk, weights, shape, logits);
            if let Some(cap) = soft_cap {
                device.soft_cap(cap, count * vocab, logits);
            }
            device.cross_entropy(
                logits,
                &buffers.targets,
                first,
                count,
                vocab,
                loss_backward,
                &mut buffers.losses,
            );
            if let (Some(grads), Some(grad_chunk)) = (&mut grads, grad_hidden.as_mut()) {
                device.linear_backward_input(logits, weights, shape, false, grad_chunk);
                if let Some(factor) = factor {
                    device.scale(factor, count * hidden, grad_chunk);
                }
                device.scatter_rows(
                    grad_chunk,
                    &buffers.rows,
                    first,
                    count,
                    hidden,
                    &mut grads.normed,
                );
                if let Some(trained) = &mut trained {
                    device.linear_backward_weight(logits, chunk, shape, true, &mut trained.grads);
                }
            }
        }
        matrix.trained = trained;
    }

    /// The logits of rows `first..first + count` of the hidden states, `[count, V]`.
    pub(crate) async fn logits(
        &self,
        device: &D,
        workspace: &mut Workspace<D>,
        rows: std::ops::Range<usize>,
    ) -> Result<Vec<u8>> {
        let (hidden, factor) = (self.config.hidden_size as usize, self.logit_factor());
        let matrix = self.output_matrix();
        let Workspace { batch: buffers, head, block, .. } = workspace;
        let BlockScratch { normed: states, linear, .. } = block;
        let mut bytes = with_room(reply_bytes([rows.len(), matrix.rows])?)?;
        for first in rows.clone().step_by(head.rows) {
            let count = rows.end.min(first + head.rows) - first;
            let chunk: Vec<u32> = (first as u32..(first + count) as u32).collect();
            device.write(&mut buffers.rows, 0, bytemuck::cast_slice(&chunk));
            device.gather_rows(states, &buffers.rows, 0, count, hidden, &mut head.hidden);
            let HeadScratch { hidden: chunk, logits, .. } = head;
            if let Some(factor) = factor {
                device.scale(factor, count * hidden, chunk);
            }
            matrix.forward(device, None, chunk, count, linear, logits);
            if let Some(cap) = self.config.final_logit_softcapping {
                device.soft_cap(cap, count * matrix.rows, logits);
            }
            bytes.extend(device.read(&head.logits, 0, count * matrix.rows * 4).await?);
        }
        Ok(bytes)
    }
}
