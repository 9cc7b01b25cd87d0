//! One block: attention and feed-forward, each with an RMSNorm before it, behind it, or both, beside the residual stream.
//! Backward is in `block_backward`, in mirrored order.

use super::Builder;
use super::batch::Batch;
use super::config::{
    Attention, activation_of, attention_of, heads, norm_of, norms_before, norms_behind,
};
use super::linear::{Linear, LinearSpec};
use super::tensor::Tensor;
use super::workspace::{Activations, LinearScratch};
use crate::device::{Device, Qkv};
use crate::error::Result;
use crate::protocol::ModelConfig;
use spiel_kernels::ops::rope::Direction;

/// The weights of one block.
pub(crate) struct Layer<D: Device> {
    pub(crate) attention: Attention,
    /// `[D]`; only with norms before the halves.
    pub(crate) input_norm: Option<Tensor<D>>,
    pub(crate) q: Linear<D>,
    pub(crate) k: Linear<D>,
    pub(crate) v: Linear<D>,
    pub(crate) o: Linear<D>,
    /// `[head_dim]`; only with `qk_norm`.
    pub(crate) q_norm: Option<Tensor<D>>,
    /// `[head_dim]`; only with `qk_norm`.
    pub(crate) k_norm: Option<Tensor<D>>,
    /// `[D]`, behind o; only with norms behind the halves.
    pub(crate) attention_norm: Option<Tensor<D>>,
    /// `[D]`; only with norms before the halves.
    pub(crate) feed_norm: Option<Tensor<D>>,
    pub(crate) gate: Linear<D>,
    pub(crate) up: Linear<D>,
    pub(crate) down: Linear<D>,
    /// `[D]`, behind down; only with norms behind the halves.
    pub(crate) output_norm: Option<Tensor<D>>,
}

/// What every block of one pass shares.
pub(crate) struct Pass<'a, D: Device> {
    pub(crate) device: &'a D,
    pub(crate) config: &'a ModelConfig,
    pub(crate) batch: &'a Batch,
    /// `[T, head_dim]` per rotary settings.
    pub(crate) rotations: &'a [D::Buffer],
}

/// The keys and values of the tokens before a batch, in generation.
pub(crate) struct LayerCache<'a, D: Device> {
    pub(crate) keys: &'a mut D::Buffer,
    pub(crate) values: &'a mut D::Buffer,
    /// Tokens in the cache before this batch.
    pub(crate) length: usize,
}

/// Buffers that a block's forward pass uses and does not keep.
pub(crate) struct ForwardScratch<'a, D: Device> {
    pub(crate) linear: &'a mut LinearScratch<D>,
    /// `[T, F]`.
    pub(crate) activation: &'a mut D::Buffer,
}

impl<D: Device> Pass<'_, D> {
    /// The input of a half of a block `[T, D]`: normalised into `normed` where a norm stands before it.
    fn normalised<'b>(
        &self,
        norm: &Option<Tensor<D>>,
        input: &'b D::Buffer,
        normed: &'b mut Option<D::Buffer>,
    ) -> &'b D::Buffer {
        let (Some(norm), Some(normed)) = (norm, normed) else { return input };
        let (tokens, hidden) = (self.batch.tokens.len(), self.config.hidden_size as usize);
        self.device.rms_norm(input, &norm.data, tokens, hidden, norm_of(self.config), normed);
        normed
    }
}

impl<D: Device> Layer<D> {
    pub(crate) fn new(builder: &mut Builder<D>, config: &ModelConfig, index: u32) -> Result<Self> {
        let shape = heads(config);
        let (hidden, feed) = (config.hidden_size as usize, config.intermediate_size as usize);
        let (queries, keys) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        let name = |part: &str| format!("model.layers.{index}.{part}");
        let spec = |part: &str, inputs, outputs, bias| LinearSpec {
            module: name(part),
            inputs,
            outputs,
            bias,
        };
        let (before, behind) = (norms_before(config), norms_behind(config));
        let norm = |builder: &mut Builder<D>, is_there: bool, part: &str| {
            is_there.then(|| builder.tensor(name(part), &[hidden])).transpose()
        };
        // The name is older than norms behind the attention.
        let before_feed = if behind { "pre_feedforward" } else { "post_attention" };
        let before_feed = format!("{before_feed}_layernorm.weight");
        let bias = config.attention_bias;
        let head_norm = |builder: &mut Builder<D>, part: &str| {
            config.qk_norm.then(|| builder.tensor(name(part), &[shape.head_dim])).transpose()
        };
        Ok(Self {
            attention: attention_of(config, index),
            input_norm: norm(builder, before, "input_layernorm.weight")?,
            q: builder.linear(spec("self_attn.q_proj", hidden, queries, bias))?,
            k: builder.linear(spec("self_attn.k_proj", hidden, keys, bias))?,
            v: builder.linear(spec("self_attn.v_proj", hidden, keys, bias))?,
            o: builder.linear(spec("self_attn.o_proj", queries, hidden, false))?,
            q_norm: head_norm(builder, "self_attn.q_norm.weight")?,
            k_norm: head_norm(builder, "self_attn.k_norm.weight")?,
            attention_norm: norm(builder, behind, "post_attention_layernorm.weight")?,
            feed_norm: norm(builder, before, &before_feed)?,
            gate: builder.linear(spec("mlp.gate_proj", hidden, feed, false))?,
            up: builder.linear(spec("mlp.up_proj", hidden, feed, false))?,
            down: builder.linear(spec("mlp.down_proj", feed, hidden, false))?,
            output_norm: norm(builder, behind, "post_feedforward_layernorm.weight")?,
        })
    }

    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear<D>> {
        [&self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down].into_iter()
    }

    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear<D>> {
        let Self { q, k, v, o, gate, up, down, .. } = self;
        [q, k, v, o, gate, up, down].into_iter()
    }

    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor<D>> {
        let linears =
            self.linears().flat_map(|linear| std::iter::once(&linear.weight).chain(&linear.bias));
        let [first, second] = [[&self.input_norm, &self.feed_norm], [&self.q_norm, &self.k_norm]];
        let last = [&self.attention_norm, &self.output_norm];
        first.into_iter().flatten().chain(linears).chain(second.into_iter().chain(last).flatten())
    }

    pub(crate) fn tensors_mut(&mut self) -> impl Iterator<Item = &mut Tensor<D>> {
        let Self {
            attention: _,
            input_norm,
            q,
            k,
            v,
            o,
            q_norm,
            k_norm,
            attention_norm,
            feed_norm,
            gate,
            up,
            down,
            output_norm,
        } = self;
        let linears = [q, k, v, o, gate, up, down]
            .into_iter()
            .flat_map(|linear| std::iter::once(&mut linear.weight).chain(&mut linear.bias));
        let rest = [q_norm, k_norm, attention_norm, output_norm];
        [input_norm, feed_norm]
            .into_iter()
            .flatten()
            .chain(linears)
            .chain(rest.into_iter().flatten())
    }

    /// Computes `output` from `input`, both `[T, D]`, and keeps what the backward pass needs.
    pub(crate) fn forward(
        &self,
        pass: &Pass<D>,
        input: &D::Buffer,
        kept: &mut Activations<D>,
        cache: Option<LayerCache<D>>,
        scratch: &mut ForwardScratch<D>,
        output: &mut D::Buffer,
    ) {
        self.attend(pass, input, kept, cache, scratch);
        let (device, tokens) = (pass.device, pass.batch.tokens.len());
        let (hidden, feed) =
            (pass.config.hidden_size as usize, pass.config.intermediate_size as usize);
        let activation = activation_of(pass.config);
        let x = pass.normalised(&self.feed_norm, &kept.middle, &mut kept.feed_input);
        self.gate.forward(device, x, tokens, scratch.linear, &mut kept.gate);
        self.up.forward(device, x, tokens, scratch.linear, &mut kept.up);
        device.glu(activation, &kept.gate, &kept.up, tokens * feed, scratch.activation);
        let raw = kept.raw_feed.as_mut().unwrap_or(&mut *output);
        self.down.forward(device, scratch.activation, tokens, scratch.linear, raw);
        if let (Some(norm), Some(raw)) = (&self.output_norm, &kept.raw_feed) {
            device.rms_norm(raw, &norm.data, tokens, hidden, norm_of(pass.config), output);
        }
        device.add(&kept.middle, tokens * hidden, output);
    }

    /// The attention half: from `input` to `kept.middle`.
    fn attend(
        &self,
        pass: &Pass<D>,
        input: &D::Buffer,
        kept: &mut Activations<D>,
        cache: Option<LayerCache<D>>,
        scratch: &mut ForwardScratch<D>,
    ) {
        let (device, tokens) = (pass.device, pass.batch.tokens.len());
        let (hidden, kind) = (pass.config.hidden_size as usize, norm_of(pass.config));
        let Attention { heads: shape, rope } = self.attention;
        let x = pass.normalised(&self.input_norm, input, &mut kept.attention_input);
        for (linear, norm, raw, y, count) in [
            (&self.q, &self.q_norm, &mut kept.raw_q, &mut kept.q, shape.heads),
            (&self.k, &self.k_norm, &mut kept.raw_k, &mut kept.k, shape.kv_heads),
        ] {
            if let (Some(norm), Some(raw)) = (norm, raw) {
                linear.forward(device, x, tokens, scratch.linear, raw);
                device.rms_norm(raw, &norm.data, tokens * count, shape.head_dim, kind, y);
            } else {
                linear.forward(device, x, tokens, scratch.linear, y);
            }
            if let Some(rope) = rope {
                let rotations = &pass.rotations[rope];
                device.rope(y, rotations, tokens, count, shape.head_dim, Direction::Forward);
            }
        }
        self.v.forward(device, x, tokens, scratch.linear, &mut kept.v);
        let inputs = match cache {
            None => Qkv { q: &kept.q, k: &kept.k, v: &kept.v },
            Some(LayerCache { keys, values, length }) => {
                let width = shape.kv_heads * shape.head_dim;
                device.copy(&kept.k, tokens * width, keys, length * width);
                device.copy(&kept.v, tokens * width, values, length * width);
                Qkv { q: &kept.q, k: &*keys, v: &*values }
            }
        };
        device.attention(inputs, shape, &pass.batch.spans, &mut kept.attended, &mut kept.log_sums);
        let raw = kept.raw_attention.as_mut().unwrap_or(&mut kept.middle);
        self.o.forward(device, &kept.attended, tokens, scratch.linear, raw);
        if let (Some(norm), Some(raw)) = (&self.attention_norm, &kept.raw_attention) {
            device.rms_norm(raw, &norm.data, tokens, hidden, kind, &mut kept.middle);
        }
        device.add(input, tokens * hidden, &mut kept.middle);
    }
}
