//! Generation: tokens go in, the logits after the last one come out, keys and values stay in a cache.

use super::Model;
use super::batch::Batch;
use super::config::heads;
use super::decoder::Cache;
use super::workspace::Workspace;
use crate::arena::{Arena, Purpose};
use crate::device::Device;
use crate::error::{Result, invalid};

impl<D: Device> Cache<D> {
    /// Allocates an empty cache for `capacity` tokens.
    pub(crate) fn new(arena: &mut Arena<D>, model: &Model<D>, capacity: usize) -> Result<Self> {
        let shape = heads(&model.config, 0);
        let shape = [capacity, shape.kv_heads, shape.head_dim];
        let mut allocate = || {
            model
                .layers
                .iter()
                .map(|_| arena.elements(Purpose::Cache, shape))
                .collect::<Result<_>>()
        };
        Ok(Self { keys: allocate()?, values: allocate()?, length: 0, capacity })
    }
}

impl<D: Device> Model<D> {
    /// Feeds tokens and returns the f32 logits `[V]` after the last.
    ///
    /// # Errors
    /// When there is no token, a token is unknown or the cache is full.
    pub(crate) async fn generate(
        &self,
        device: &D,
        tokens: &[u32],
        workspace: &mut Workspace<D>,
        cache: &mut Cache<D>,
    ) -> Result<Vec<u8>> {
        if tokens.is_empty() || cache.length + tokens.len() > cache.capacity {
            return Err(invalid!(
                "Cannot feed {} tokens: {} of {} are in the cache",
                tokens.len(),
                cache.length,
                cache.capacity
            ));
        }
        if let Some(token) = tokens.iter().find(|token| **token >= self.config.vocab_size) {
            return Err(invalid!(
                "Cannot feed token {token}, expected below {}",
                self.config.vocab_size
            ));
        }
        let mut last = 0;
        for chunk in tokens.chunks(workspace.tokens) {
            let batch = Batch::following(chunk, cache.length);
            workspace.load(device, self, &batch);
            self.forward(device, &batch, workspace, Some(&mut *cache), async |_| Ok(())).await?;
            cache.length += chunk.len();
            last = chunk.len();
        }
        self.logits(device, workspace, last - 1..last).await
    }
}
