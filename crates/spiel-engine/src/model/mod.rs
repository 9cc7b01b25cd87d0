//! A LLaMA-like model on a device: weights, forward and backward, written once for every device.
//!
//! Reading order: `config` → `tensor` → `linear` → `half` → `block` → `decoder` → `head` → `generate`.

pub(crate) mod batch;
pub(crate) mod block;
mod block_backward;
pub(crate) mod config;
pub(crate) mod decoder;
pub(crate) mod generate;
pub(crate) mod half;
pub(crate) mod head;
pub(crate) mod linear;
pub(crate) mod tensor;
pub(crate) mod workspace;

use crate::arena::Arena;
use crate::device::Device;
use crate::error::{Result, invalid};
use crate::model::block::Layer;
use crate::model::linear::{Linear, LinearSpec};
use crate::model::tensor::Tensor;
use crate::protocol::{ModelConfig, ModelOptions, Rope, Trainable, WeightFormat};
use std::collections::HashMap;

/// The weights of a model and what is trained on them.
pub(crate) struct Model<D: Device> {
    pub(crate) config: ModelConfig,
    /// The different rotary settings of its layers.
    pub(crate) ropes: Vec<Rope>,
    pub(crate) embedding: Tensor<D>,
    pub(crate) layers: Vec<Layer<D>>,
    pub(crate) norm: Tensor<D>,
    /// Absent when the head is the embedding.
    pub(crate) head: Option<Tensor<D>>,
}

/// Takes the formats and delta counts of a request apart as the model is built, so that names left over show.
pub(crate) struct Builder<'a, 'd, D: Device> {
    pub(crate) arena: &'a mut Arena<'d, D>,
    pub(crate) options: &'a ModelOptions,
    formats: HashMap<&'a str, WeightFormat>,
    counts: HashMap<&'a str, u32>,
}

impl<D: Device> Builder<'_, '_, D> {
    /// A tensor in the format that the request names, f32 otherwise.
    pub(crate) fn tensor(&mut self, name: String, shape: &[usize]) -> Result<Tensor<D>> {
        let format = self.formats.remove(name.as_str()).unwrap_or(WeightFormat::F32);
        let trained = self.options.trainable == Trainable::Weights;
        Tensor::new(self.arena, name, shape, format, trained)
    }

    /// A linear layer with the deltas that the request counts for it.
    pub(crate) fn linear(&mut self, spec: LinearSpec) -> Result<Linear<D>> {
        let count = self.counts.remove(spec.module.as_str());
        Linear::new(self, spec, count)
    }
}

impl<D: Device> Model<D> {
    /// Allocates (or plans) a model.
    ///
    /// # Errors
    /// When the configuration is inconsistent, a format does not fit a shape, or a name is unknown or there twice.
    pub(crate) fn new(
        arena: &mut Arena<D>,
        config: &ModelConfig,
        options: &ModelOptions,
    ) -> Result<Self> {
        config::check(config)?;
        let formats = by_name(
            "tensor",
            options.formats.iter().map(|entry| (entry.name.as_str(), entry.format)),
        )?;
        let counts = by_name(
            "linear layer",
            options.deltas.iter().map(|entry| (entry.module.as_str(), entry.count)),
        )?;
        let mut builder = Builder { arena, options, formats, counts };
        let (vocab, hidden) = (config.vocab_size as usize, config.hidden_size as usize);
        let embedding = builder.tensor("model.embed_tokens.weight".to_owned(), &[vocab, hidden])?;
        let ropes = config::ropes(config);
        let layers = (0..config.num_hidden_layers as usize)
            .map(|index| Layer::new(&mut builder, config, &ropes, index))
            .collect::<Result<_>>()?;
        let norm = builder.tensor("model.norm.weight".to_owned(), &[hidden])?;
        let head = if config.tie_word_embeddings {
            None
        } else {
            Some(builder.tensor("lm_head.weight".to_owned(), &[vocab, hidden])?)
        };
        if let Some(name) = builder.formats.keys().next() {
            return Err(invalid!("Cannot create the model: it has no tensor \"{name}\""));
        }
        if let Some(name) = builder.counts.keys().next() {
            return Err(invalid!("Cannot create the model: it has no linear layer \"{name}\""));
        }
        Ok(Self { config: config.clone(), ropes, embedding, layers, norm, head })
    }

    /// The matrix that turns hidden states into logits.
    pub(crate) fn output_matrix(&self) -> &Tensor<D> {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    pub(crate) fn output_matrix_mut(&mut self) -> &mut Tensor<D> {
        self.head.as_mut().unwrap_or(&mut self.embedding)
    }

    /// Every tensor, in the order of the layers.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor<D>> {
        let blocks = self.layers.iter().flat_map(Layer::tensors);
        std::iter::once(&self.embedding).chain(blocks).chain([&self.norm]).chain(&self.head)
    }

    /// Every tensor, to be changed.
    pub(crate) fn tensors_mut(&mut self) -> impl Iterator<Item = &mut Tensor<D>> {
        let blocks = self.layers.iter_mut().flat_map(Layer::tensors_mut);
        std::iter::once(&mut self.embedding)
            .chain(blocks)
            .chain([&mut self.norm])
            .chain(&mut self.head)
    }

    /// Every linear layer of the blocks, in their order.
    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear<D>> {
        self.layers.iter().flat_map(Layer::linears)
    }

    /// Every linear layer of the blocks, to be changed.
    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear<D>> {
        self.layers.iter_mut().flat_map(Layer::linears_mut)
    }
}

/// Entries by their names, of which none may be there twice.
fn by_name<'a, T>(
    what: &str,
    entries: impl Iterator<Item = (&'a str, T)>,
) -> Result<HashMap<&'a str, T>> {
    let mut found = HashMap::new();
    for (name, value) in entries {
        if found.insert(name, value).is_some() {
            return Err(invalid!("Cannot create the model: {what} \"{name}\" is named twice"));
        }
    }
    Ok(found)
}
