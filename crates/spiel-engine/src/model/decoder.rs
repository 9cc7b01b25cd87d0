//! The walk through all blocks: forward, and backward in reverse with recomputation where activations are shared.

use super::Model;
use super::batch::Batch;
use super::block::{LayerCache, Pass};
use super::config::{frequencies, norm_of};
use super::linear::Window;
use super::workspace::Workspace;
use crate::device::{Device, NormBackward};
use crate::error::Result;
use crate::protocol::ActivationCheckpointing;
use spiel_kernels::ops::rope::rotations;

/// The keys and values of all blocks.
pub(crate) struct Cache<D: Device> {
    /// `[max tokens, K, head_dim]` per block.
    pub(crate) keys: Vec<D::Buffer>,
    /// `[max tokens, K, head_dim]` per block.
    pub(crate) values: Vec<D::Buffer>,
    /// Tokens held.
    pub(crate) length: usize,
    /// Most tokens.
    pub(crate) capacity: usize,
}

impl<D: Device> Workspace<D> {
    /// Puts a micro-batch on the device.
    pub(crate) fn load(&mut self, device: &D, model: &Model<D>, batch: &Batch) {
        for (rope, buffer) in model.ropes.iter().zip(&mut self.batch.rotations) {
            let frequencies = frequencies(model.config.head_dim as usize, rope);
            let table = device.on_threads(|| rotations(&batch.positions, &frequencies));
            device.write(buffer, 0, bytemuck::cast_slice(&table));
        }
        device.write(&mut self.batch.tokens, 0, bytemuck::cast_slice(&batch.tokens));
        device.write(&mut self.batch.rows, 0, bytemuck::cast_slice(&batch.rows));
        device.write(&mut self.batch.targets, 0, bytemuck::cast_slice(&batch.targets));
    }
}

impl<D: Device> Model<D> {
    /// Runs a loaded micro-batch to the final norm's output, `workspace.block.normed`.
    ///
    /// `observe` sees the stream `[T, D]` before every block.
    pub(crate) async fn forward(
        &self,
        device: &D,
        batch: &Batch,
        workspace: &mut Workspace<D>,
        mut cache: Option<&mut Cache<D>>,
        mut observe: impl AsyncFnMut(&D::Buffer) -> Result<()>,
    ) -> Result<()> {
        let (config, tokens) = (&self.config, batch.tokens.len());
        let hidden = config.hidden_size as usize;
        let Workspace { batch: buffers, stream, activations, block: scratch, .. } = workspace;
        let format = self.embedding.format.into();
        device.embedding(
            &buffers.tokens,
            tokens,
            &self.embedding.data,
            format,
            hidden,
            &mut stream[0],
        );
        if let Some(factor) = config.embedding_multiplier {
            device.scale(factor, tokens * hidden, &mut stream[0]);
        }
        let pass = Pass { device, config, batch, rotations: &buffers.rotations };
        let (streams, kept) = (stream.len(), activations.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let (input, output) = two(stream, index % streams, (index + 1) % streams);
            observe(input).await?;
            let cache = cache.as_deref_mut().map(|cache| LayerCache {
                keys: &mut cache.keys[index],
                values: &mut cache.values[index],
                length: cache.length,
            });
            layer.forward(&pass, input, &mut activations[index % kept], cache, scratch, output);
        }
        let last = &stream[self.layers.len() % streams];
        device.rms_norm(
            last,
            &self.norm.data,
            tokens,
            hidden,
            norm_of(config),
            &mut scratch.normed,
        );
        Ok(())
    }

    /// Runs backward from the gradient in the final norm's output, which the head left in `grads.normed`.
    pub(crate) fn backward(
        &mut self,
        device: &D,
        batch: &Batch,
        window: Window,
        workspace: &mut Workspace<D>,
    ) {
        let (tokens, hidden) = (batch.tokens.len(), self.config.hidden_size as usize);
        let shared = workspace.checkpointing == ActivationCheckpointing::Block;
        let Workspace { batch: buffers, stream, activations, block: scratch, grads, .. } =
            workspace;
        let Some(grads) = grads else { return };
        let last = self.layers.len();
        let norm =
            NormBackward { x: &stream[last], weight: &self.norm.data, grad_y: &grads.normed };
        let grad_weight = self.norm.trained.as_mut().map(|trained| &mut trained.grads);
        let kind = norm_of(&self.config);
        device.rms_norm_backward(norm, tokens, hidden, kind, false, &mut grads.stream, grad_weight);
        let pass = Pass { device, config: &self.config, batch, rotations: &buffers.rotations };
        let kept = activations.len();
        for (index, layer) in self.layers.iter_mut().enumerate().rev() {
            let activations = &mut activations[index % kept];
            // The last block's activations are still those of the forward pass.
            if shared && index + 1 < last {
                layer.recompute(&pass, &stream[index], activations, scratch);
            }
            layer.backward(&pass, window, &stream[index], activations, scratch, grads);
        }
        if let Some(trained) = &mut self.embedding.trained {
            if let Some(factor) = self.config.embedding_multiplier {
                device.scale(factor, tokens * hidden, &mut grads.stream);
            }
            device.embedding_backward(
                &buffers.tokens,
                tokens,
                &grads.stream,
                hidden,
                &mut trained.grads,
            );
        }
    }
}

/// One element to read and another to write.
fn two<T>(list: &mut [T], read: usize, write: usize) -> (&T, &mut T) {
    let (low, high) = list.split_at_mut(read.max(write));
    if read < write { (&low[read], &mut high[0]) } else { (&high[0], &mut low[write]) }
}
