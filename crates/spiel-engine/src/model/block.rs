//! One block: attention and feed-forward, each beside the residual stream. Backward is in `block_backward`, in mirrored
//! order.

use super::Builder;
use super::batch::Batch;
use super::config::{activation_of, heads, layer, norm_of};
use super::half::Half;
use super::linear::{Linear, LinearSpec};
use super::tensor::Tensor;
use super::workspace::{Activations, BlockScratch, Opened};
use crate::device::{Device, Qkv};
use crate::error::Result;
use crate::protocol::{ModelConfig, NormPlacement, NormSpan, Rope};
use spiel_kernels::element::Element;
use spiel_kernels::ops::attention::Heads;
use spiel_kernels::ops::rms_norm::Norm;
use spiel_kernels::ops::rope::Direction;

/// The weights of one block.
pub(crate) struct Layer<D: Device> {
    /// The shape of its attention.
    pub(crate) shape: Heads,
    /// Which of the pass's rotations it takes, if any.
    pub(crate) rope: Option<usize>,
    /// The norms around the attention.
    pub(crate) attention: Half<D>,
    /// The norms around the feed-forward layer.
    pub(crate) feed: Half<D>,
    pub(crate) q: Linear<D>,
    pub(crate) k: Linear<D>,
    pub(crate) v: Linear<D>,
    pub(crate) o: Linear<D>,
    /// `[head_dim]`, or `[H · head_dim]` where a norm spans the row; only with `qk_norm`.
    pub(crate) q_norm: Option<Tensor<D>>,
    /// `[head_dim]`, or `[K · head_dim]`; only with `qk_norm`.
    pub(crate) k_norm: Option<Tensor<D>>,
    pub(crate) gate: Linear<D>,
    pub(crate) up: Linear<D>,
    pub(crate) down: Linear<D>,
}

/// What every block of one pass shares.
pub(crate) struct Pass<'a, D: Device> {
    pub(crate) device: &'a D,
    pub(crate) config: &'a ModelConfig,
    pub(crate) batch: &'a Batch,
    /// `[T, head_dim]` for each of the model's rotary settings.
    pub(crate) rotations: &'a [D::Buffer],
}

impl<D: Device> Pass<'_, D> {
    /// Rows, width and kind of the norms on the stream.
    pub(crate) fn norm(&self) -> (usize, usize, Norm) {
        let hidden = self.config.hidden_size as usize;
        (self.batch.tokens.len(), hidden, norm_of(self.config))
    }

    /// What the feed-forward layer's last product reads, `[T, F]`.
    pub(super) fn activate(&self, opened: &Opened<D>, out: &mut D::Buffer) {
        self.device.glu(activation_of(self.config), opened.view(), self.opened_count(), out);
    }

    /// T · F.
    pub(super) fn opened_count(&self) -> usize {
        self.batch.tokens.len() * self.config.intermediate_size as usize
    }
}

/// The keys and values of the tokens before a batch, in generation.
pub(crate) struct LayerCache<'a, D: Device> {
    pub(crate) keys: &'a mut D::Buffer,
    pub(crate) values: &'a mut D::Buffer,
    /// Tokens in the cache before this batch.
    pub(crate) length: usize,
}

impl<D: Device> Layer<D> {
    pub(crate) fn new(
        builder: &mut Builder<D>,
        config: &ModelConfig,
        ropes: &[Rope],
        index: usize,
    ) -> Result<Self> {
        let shape = heads(config, index);
        let rope = layer(config, index)
            .rope
            .and_then(|rope| ropes.iter().position(|other| *other == rope));
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
        let head_norm = |builder: &mut Builder<D>, part: &str, row: usize| {
            let width = if config.qk_norm_span == NormSpan::Row { row } else { shape.head_dim };
            config.qk_norm.then(|| builder.tensor(name(part), &[width])).transpose()
        };
        let norm = |part: &str| Some(name(part));
        let [before_attention, after_attention, before_feed, after_feed] =
            match config.norm_placement {
                NormPlacement::Pre => [
                    norm("input_layernorm.weight"),
                    None,
                    norm("post_attention_layernorm.weight"),
                    None,
                ],
                NormPlacement::Post => [
                    None,
                    norm("post_attention_layernorm.weight"),
                    None,
                    norm("post_feedforward_layernorm.weight"),
                ],
                NormPlacement::Both => [
                    norm("input_layernorm.weight"),
                    norm("post_attention_layernorm.weight"),
                    norm("pre_feedforward_layernorm.weight"),
                    norm("post_feedforward_layernorm.weight"),
                ],
            };
        Ok(Self {
            shape,
            rope,
            attention: Half::new(builder, before_attention, after_attention, hidden)?,
            q: builder.linear(spec("self_attn.q_proj", hidden, queries, bias))?,
            k: builder.linear(spec("self_attn.k_proj", hidden, keys, bias))?,
            v: builder.linear(spec("self_attn.v_proj", hidden, keys, bias))?,
            o: builder.linear(spec("self_attn.o_proj", queries, hidden, false))?,
            q_norm: head_norm(builder, "self_attn.q_norm.weight", queries)?,
            k_norm: head_norm(builder, "self_attn.k_norm.weight", keys)?,
            feed: Half::new(builder, before_feed, after_feed, hidden)?,
            gate: builder.linear(spec("mlp.gate_proj", hidden, feed, false))?,
            up: builder.linear(spec("mlp.up_proj", hidden, feed, false))?,
            down: builder.linear(spec("mlp.down_proj", feed, hidden, false))?,
        })
    }

    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear<D>> {
        [&self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down].into_iter()
    }

    /// The linear layers, those together that read the same.
    pub(crate) fn linears_by_input(&self) -> [Vec<&Linear<D>>; 4] {
        let Self { q, k, v, o, gate, up, down, .. } = self;
        [vec![q, k, v], vec![o], vec![gate, up], vec![down]]
    }

    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear<D>> {
        let Self { q, k, v, o, gate, up, down, .. } = self;
        [q, k, v, o, gate, up, down].into_iter()
    }

    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor<D>> {
        let linears =
            self.linears().flat_map(|linear| std::iter::once(&linear.weight).chain(&linear.bias));
        let Self { attention, feed, .. } = self;
        [&attention.before, &attention.after, &feed.before, &feed.after]
            .into_iter()
            .flatten()
            .chain(linears)
            .chain(&self.q_norm)
            .chain(&self.k_norm)
    }

    pub(crate) fn tensors_mut(&mut self) -> impl Iterator<Item = &mut Tensor<D>> {
        let Self { attention, feed, q, k, v, o, q_norm, k_norm, gate, up, down, .. } = self;
        let linears = [q, k, v, o, gate, up, down]
            .into_iter()
            .flat_map(|linear| std::iter::once(&mut linear.weight).chain(&mut linear.bias));
        [&mut attention.before, &mut attention.after, &mut feed.before, &mut feed.after]
            .into_iter()
            .flatten()
            .chain(linears)
            .chain(q_norm)
            .chain(k_norm)
    }

    /// Computes `output` from `input`, both `[T, D]`, and keeps what the backward pass needs.
    pub(crate) fn forward(
        &self,
        pass: &Pass<D>,
        input: &D::Buffer,
        kept: &mut Activations<D>,
        cache: Option<LayerCache<D>>,
        scratch: &mut BlockScratch<D>,
        output: &mut D::Buffer,
    ) {
        self.attend(pass, input, kept, cache, scratch);
        self.open_gate(pass, kept, scratch);
        let BlockScratch { activation, linear, .. } = scratch;
        pass.activate(&kept.opened, activation);
        let down = (&self.down, &*activation);
        self.feed.leave(pass, down, &kept.middle, &mut kept.raw_down, linear, output);
    }

    /// Computes once more what the backward pass needs, and no output: the last product only where a norm comes after it.
    pub(crate) fn recompute(
        &self,
        pass: &Pass<D>,
        input: &D::Buffer,
        kept: &mut Activations<D>,
        scratch: &mut BlockScratch<D>,
    ) {
        self.attend(pass, input, kept, None, scratch);
        self.open_gate(pass, kept, scratch);
        if let Some(raw) = &mut kept.raw_down {
            let BlockScratch { activation, linear, .. } = scratch;
            pass.activate(&kept.opened, activation);
            self.down.forward(pass.device, activation, pass.batch.tokens.len(), linear, raw);
        }
    }

    /// From `kept.middle` to `kept.opened`.
    fn open_gate(&self, pass: &Pass<D>, kept: &mut Activations<D>, scratch: &mut BlockScratch<D>) {
        let (device, tokens) = (pass.device, pass.batch.tokens.len());
        let BlockScratch { normed, activation, linear: scratch } = scratch;
        let x = self.feed.enter(pass, &kept.middle, normed);
        let Opened { gate, up, element } = &mut kept.opened;
        for (linear, kept) in [(&self.gate, gate), (&self.up, up)] {
            if *element == Element::F32 {
                linear.forward(device, x, tokens, scratch, kept);
            } else {
                linear.forward(device, x, tokens, scratch, activation);
                device.round(activation, pass.opened_count(), kept);
            }
        }
    }

    /// The attention half: from `input` to `kept.middle`.
    fn attend(
        &self,
        pass: &Pass<D>,
        input: &D::Buffer,
        kept: &mut Activations<D>,
        cache: Option<LayerCache<D>>,
        scratch: &mut BlockScratch<D>,
    ) {
        let (device, tokens, shape) = (pass.device, pass.batch.tokens.len(), self.shape);
        let kind = norm_of(pass.config);
        let BlockScratch { normed, linear: scratch, .. } = scratch;
        let x = self.attention.enter(pass, input, normed);
        for (linear, norm, raw, y, count) in [
            (&self.q, &self.q_norm, &mut kept.raw_q, &mut kept.q, shape.heads),
            (&self.k, &self.k_norm, &mut kept.raw_k, &mut kept.k, shape.kv_heads),
        ] {
            if let (Some(norm), Some(raw)) = (norm, raw) {
                linear.forward(device, x, tokens, scratch, raw);
                let rows = tokens * count * shape.head_dim / norm.columns;
                device.rms_norm(raw, &norm.data, rows, norm.columns, kind, y);
            } else {
                linear.forward(device, x, tokens, scratch, y);
            }
            if let Some(rope) = self.rope {
                let rotations = &pass.rotations[rope];
                device.rope(y, rotations, tokens, count, shape.head_dim, Direction::Forward);
            }
        }
        self.v.forward(device, x, tokens, scratch, &mut kept.v);
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
        let (o, raw) = ((&self.o, &kept.attended), &mut kept.raw_o);
        self.attention.leave(pass, o, input, raw, scratch, &mut kept.middle);
    }
}
