//! One block: attention and feed-forward, each behind an RMSNorm on the residual stream. Backward is in
//! `block_backward`, in mirrored order.

use super::Builder;
use super::batch::Batch;
use super::config::{activation_of, heads, norm_of};
use super::linear::{Linear, LinearSpec};
use super::tensor::Tensor;
use super::workspace::{Activations, LinearScratch};
use crate::device::{Device, Qkv};
use crate::error::Result;
use crate::protocol::ModelConfig;
use spiel_kernels::ops::rope::Direction;

/// The weights of one block.
pub(crate) struct Layer<D: Device> {
    pub(crate) input_norm: Tensor<D>,
    pub(crate) q: Linear<D>,
    pub(crate) k: Linear<D>,
    pub(crate) v: Linear<D>,
    pub(crate) o: Linear<D>,
    /// `[head_dim]`; only with `qk_norm`.
    pub(crate) q_norm: Option<Tensor<D>>,
    /// `[head_dim]`; only with `qk_norm`.
    pub(crate) k_norm: Option<Tensor<D>>,
    pub(crate) feed_norm: Tensor<D>,
    pub(crate) gate: Linear<D>,
    pub(crate) up: Linear<D>,
    pub(crate) down: Linear<D>,
}

/// What every block of one pass shares.
pub(crate) struct Pass<'a, D: Device> {
    pub(crate) device: &'a D,
    pub(crate) config: &'a ModelConfig,
    pub(crate) batch: &'a Batch,
    /// `[T, head_dim]`.
    pub(crate) rotations: &'a D::Buffer,
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
        let bias = config.attention_bias;
        let head_norm = |builder: &mut Builder<D>, part: &str| {
            config.qk_norm.then(|| builder.tensor(name(part), &[shape.head_dim])).transpose()
        };
        Ok(Self {
            input_norm: builder.tensor(name("input_layernorm.weight"), &[hidden])?,
            q: builder.linear(spec("self_attn.q_proj", hidden, queries, bias))?,
            k: builder.linear(spec("self_attn.k_proj", hidden, keys, bias))?,
            v: builder.linear(spec("self_attn.v_proj", hidden, keys, bias))?,
            o: builder.linear(spec("self_attn.o_proj", queries, hidden, false))?,
            q_norm: head_norm(builder, "self_attn.q_norm.weight")?,
            k_norm: head_norm(builder, "self_attn.k_norm.weight")?,
            feed_norm: builder.tensor(name("post_attention_layernorm.weight"), &[hidden])?,
            gate: builder.linear(spec("mlp.gate_proj", hidden, feed, false))?,
            up: builder.linear(spec("mlp.up_proj", hidden, feed, false))?,
            down: builder.linear(spec("mlp.down_proj", feed, hidden, false))?,
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
        [&self.input_norm, &self.feed_norm]
            .into_iter()
            .chain(linears)
            .chain(&self.q_norm)
            .chain(&self.k_norm)
    }

    pub(crate) fn tensors_mut(&mut self) -> impl Iterator<Item = &mut Tensor<D>> {
        let Self { input_norm, q, k, v, o, q_norm, k_norm, feed_norm, gate, up, down } = self;
        let linears = [q, k, v, o, gate, up, down]
            .into_iter()
            .flat_map(|linear| std::iter::once(&mut linear.weight).chain(&mut linear.bias));
        [input_norm, feed_norm].into_iter().chain(linears).chain(q_norm).chain(k_norm)
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
        let kind = norm_of(pass.config);
        device.rms_norm(
            &kept.middle,
            &self.feed_norm.data,
            tokens,
            hidden,
            kind,
            &mut kept.feed_input,
        );
        self.gate.forward(device, &kept.feed_input, tokens, scratch.linear, &mut kept.gate);
        self.up.forward(device, &kept.feed_input, tokens, scratch.linear, &mut kept.up);
        device.glu(
            activation_of(pass.config),
            &kept.gate,
            &kept.up,
            tokens * feed,
            scratch.activation,
        );
        self.down.forward(device, scratch.activation, tokens, scratch.linear, output);
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
        let (device, tokens, shape) = (pass.device, pass.batch.tokens.len(), heads(pass.config));
        let (hidden, kind) = (pass.config.hidden_size as usize, norm_of(pass.config));
        let x = &mut kept.attention_input;
        device.rms_norm(input, &self.input_norm.data, tokens, hidden, kind, x);
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
            device.rope(y, pass.rotations, tokens, count, shape.head_dim, Direction::Forward);
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
        self.o.forward(device, &kept.attended, tokens, scratch.linear, &mut kept.middle);
        device.add(input, tokens * hidden, &mut kept.middle);
    }
}
