//! Memory that one micro-batch needs beside the weights, planned once for the largest.

use super::Model;
use super::block::Layer;
use super::config::heads;
use super::linear::Linear;
use crate::arena::{Arena, Purpose};
use crate::device::{Device, Gated, ModuleSize, SamplingScratch};
use crate::error::Result;
use crate::model::tensor::Tensor;
use crate::protocol::{
    ActivationCheckpointing, ModelConfig, ModelOptions, NormPlacement, Optimizer, Trainable,
    WeightFormat,
};
use spiel_kernels::element::Element;
use spiel_kernels::ops::clip::Clip;

/// Floats of logits that exist at once, where the head is dense.
const LOGITS: usize = 16 << 20;

/// What a block's forward pass leaves for its backward pass.
pub(crate) struct Activations<D: Device> {
    /// `[T, D]`: what o made; only with a norm after it.
    pub(crate) raw_o: Option<D::Buffer>,
    /// `[T, H, head_dim]`, before normalisation; only with `qk_norm`.
    pub(crate) raw_q: Option<D::Buffer>,
    /// `[T, K, head_dim]`, before normalisation; only with `qk_norm`.
    pub(crate) raw_k: Option<D::Buffer>,
    /// `[T, H, head_dim]`, rotated.
    pub(crate) q: D::Buffer,
    /// `[T, K, head_dim]`, rotated.
    pub(crate) k: D::Buffer,
    /// `[T, K, head_dim]`.
    pub(crate) v: D::Buffer,
    /// `[T, H, head_dim]`: the input of o.
    pub(crate) attended: D::Buffer,
    /// `[T, H]`.
    pub(crate) log_sums: D::Buffer,
    /// `[T, D]`: the residual stream between attention and feed-forward.
    pub(crate) middle: D::Buffer,
    pub(crate) opened: Opened<D>,
    /// `[T, D]`: what down made; only with a norm after it.
    pub(crate) raw_down: Option<D::Buffer>,
}

/// What the gated unit multiplies, the largest of the activations: half as large where products round to bf16.
pub(crate) struct Opened<D: Device> {
    /// `[T, F]`.
    pub(crate) gate: D::Buffer,
    /// `[T, F]`.
    pub(crate) up: D::Buffer,
    /// The type of both: f32 or bf16.
    pub(crate) element: Element,
}

/// Scratch of linear layers; all but `weights` is empty unless deltas are trained.
pub(crate) struct LinearScratch<D: Device> {
    /// The largest matrix: a weight that is decoded before it is multiplied, in the type below, or a dense gradient or
    /// ranking keys in f32.
    pub(crate) weights: D::Buffer,
    /// What decoded weights are kept in.
    pub(crate) element: Element,
    /// Of the gradients at deltas, and of whatever else takes a word per delta.
    pub(crate) sampling: SamplingScratch<D::Buffer>,
}

/// What blocks use in turn and do not keep.
pub(crate) struct BlockScratch<D: Device> {
    /// `[T, D]`: the output of one norm on the stream after the other, the final one's at the end of a forward pass.
    pub(crate) normed: D::Buffer,
    /// `[T, F]`: the gated unit's output, and before it gate and up on their way to being rounded.
    pub(crate) activation: D::Buffer,
    pub(crate) linear: LinearScratch<D>,
}

/// Gradients flowing backwards through a block.
pub(crate) struct BlockGrads<D: Device> {
    /// `[T, D]`: in the block's output, then its input.
    pub(crate) stream: D::Buffer,
    /// `[T, D]`: in what a half's first layers read, and before that in what its last one made.
    pub(crate) normed: D::Buffer,
    /// `[T, H, head_dim]`: in the attention's output.
    pub(crate) attended: D::Buffer,
    pub(crate) q: D::Buffer,
    pub(crate) k: D::Buffer,
    pub(crate) v: D::Buffer,
    /// `[T, H, head_dim]`: in raw q or k; only with `qk_norm`.
    pub(crate) raw: Option<D::Buffer>,
    /// `[T, F]`.
    pub(crate) activation: D::Buffer,
    pub(crate) gate: D::Buffer,
    pub(crate) up: D::Buffer,
}

/// Chunks of tokens at the output head.
pub(crate) struct HeadScratch<D: Device> {
    /// Rows of a chunk.
    pub(crate) rows: usize,
    /// `[rows, D]`.
    pub(crate) hidden: D::Buffer,
    /// `[rows, V]`.
    pub(crate) logits: D::Buffer,
    /// `[rows, D]`; only when something is trained.
    pub(crate) grad_hidden: Option<D::Buffer>,
}

/// A micro-batch on the device.
pub(crate) struct BatchBuffers<D: Device> {
    /// `u32 [T]`.
    pub(crate) tokens: D::Buffer,
    /// `[T, head_dim]`: cosines and sines of each of the model's rotary settings.
    pub(crate) rotations: Vec<D::Buffer>,
    /// `u32 [n]`: positions that have a target.
    pub(crate) rows: D::Buffer,
    /// `u32 [n]`: the targets.
    pub(crate) targets: D::Buffer,
    /// `[n]`.
    pub(crate) losses: D::Buffer,
}

/// What updates leave for whoever asks; empty unless something is trained.
pub(crate) struct UpdateBuffers<D: Device> {
    /// The loss so far of the next update: a number in two parts.
    pub(crate) loss: D::Buffer,
    /// The last update's `Clip`.
    pub(crate) clip: D::Buffer,
    /// Two words per module whose deltas move, the second of which is how many did in the last reselection.
    pub(crate) replaced: D::Buffer,
}

/// All of it.
pub(crate) struct Workspace<D: Device> {
    /// T of the largest micro-batch.
    pub(crate) tokens: usize,
    pub(crate) checkpointing: ActivationCheckpointing,
    pub(crate) batch: BatchBuffers<D>,
    /// `[T, D]` each: block inputs and the last output; two in turn when nothing is trained.
    pub(crate) stream: Vec<D::Buffer>,
    /// One per block, or one that all share.
    pub(crate) activations: Vec<Activations<D>>,
    pub(crate) block: BlockScratch<D>,
    pub(crate) head: HeadScratch<D>,
    /// Absent when nothing is trained.
    pub(crate) grads: Option<BlockGrads<D>>,
    pub(crate) updates: UpdateBuffers<D>,
}

impl<D: Device> Workspace<D> {
    /// Allocates (or plans) for micro-batches of up to `options.micro_batch_tokens` tokens.
    pub(crate) fn new(
        arena: &mut Arena<D>,
        model: &Model<D>,
        options: &ModelOptions,
        element: Element,
    ) -> Result<Self> {
        let config = &model.config;
        let tokens = options.micro_batch_tokens as usize;
        let (hidden, feed) = (config.hidden_size as usize, config.intermediate_size as usize);
        let training = options.trainable != Trainable::Nothing;
        let layers = model.layers.len();
        let shared =
            !training || options.activation_checkpointing == ActivationCheckpointing::Block;
        let mut stream = |count: usize| -> Result<Vec<_>> {
            (0..count).map(|_| arena.elements(Purpose::Activations, [tokens, hidden])).collect()
        };
        let opened = if element == Element::Bf16 { element } else { Element::F32 };
        let stream = stream(if training { layers + 1 } else { 2 })?;
        let activations = (0..if shared { 1 } else { layers })
            .map(|_| Activations::new(arena, config, tokens, opened))
            .collect::<Result<_>>()?;
        let mut work = |width: usize| arena.elements(Purpose::Workspace, [tokens, width]);
        Ok(Self {
            tokens,
            checkpointing: options.activation_checkpointing,
            batch: BatchBuffers {
                tokens: work(1)?,
                rotations: (model.ropes.iter())
                    .map(|_| work(config.head_dim as usize))
                    .collect::<Result<_>>()?,
                rows: work(1)?,
                targets: work(1)?,
                losses: work(1)?,
            },
            stream,
            activations,
            block: BlockScratch {
                normed: work(hidden)?,
                activation: work(feed)?,
                linear: LinearScratch::new(arena, model, options, element)?,
            },
            head: HeadScratch::new(arena, model, tokens, training, element)?,
            grads: if training { Some(BlockGrads::new(arena, config, tokens)?) } else { None },
            updates: UpdateBuffers::new(arena, model, options)?,
        })
    }
}

impl<D: Device> Activations<D> {
    fn new(
        arena: &mut Arena<D>,
        config: &ModelConfig,
        tokens: usize,
        opened: Element,
    ) -> Result<Self> {
        let (hidden, feed, shape) =
            (config.hidden_size as usize, config.intermediate_size as usize, heads(config, 0));
        let (queries, keys) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        let opened = Opened::new(arena, [tokens, feed], opened)?;
        let mut keep = |width: usize| arena.elements(Purpose::Activations, [tokens, width]);
        let after = config.norm_placement != NormPlacement::Pre;
        Ok(Self {
            raw_o: if after { Some(keep(hidden)?) } else { None },
            raw_q: if config.qk_norm { Some(keep(queries)?) } else { None },
            raw_k: if config.qk_norm { Some(keep(keys)?) } else { None },
            q: keep(queries)?,
            k: keep(keys)?,
            v: keep(keys)?,
            attended: keep(queries)?,
            log_sums: keep(shape.heads)?,
            middle: keep(hidden)?,
            opened,
            raw_down: if after { Some(keep(hidden)?) } else { None },
        })
    }
}

impl<D: Device> Opened<D> {
    fn new(arena: &mut Arena<D>, shape: [usize; 2], element: Element) -> Result<Self> {
        let mut keep = || arena.blocks(Purpose::Activations, shape, element.bytes());
        Ok(Self { gate: keep()?, up: keep()?, element })
    }

    pub(super) fn view(&self) -> Gated<'_, D::Buffer> {
        Gated { gate: &self.gate, up: &self.up, element: self.element }
    }
}

impl<D: Device> LinearScratch<D> {
    fn new(
        arena: &mut Arena<D>,
        model: &Model<D>,
        options: &ModelOptions,
        element: Element,
    ) -> Result<Self> {
        let device = arena.device();
        let decoded = model.tensors().filter(|tensor| {
            tensor.format != WeightFormat::F32 && !tensor.is_multiplied_stored(device, element)
        });
        let largest_decoded = decoded.map(Tensor::elements).max().unwrap_or(0);
        let trains = options.trainable == Trainable::Deltas;
        let carriers = || model.linears().filter(|linear| trains && linear.delta.is_some());
        // Dense gradients that choose candidates, and SM3's ranking of every position, need a whole matrix.
        let ranks = options.candidates || options.optimizer == Optimizer::Sm3;
        let largest_ranked =
            carriers().map(|linear| linear.weight.elements()).max().filter(|_| ranks).unwrap_or(0);
        let dense_bytes = (largest_decoded * element.bytes()).max(largest_ranked * 4);
        let sampling = sampling_words(arena.device(), model, options);
        let mut work = |shape: [usize; 2]| arena.elements(Purpose::Workspace, shape);
        Ok(Self {
            weights: work([1, dense_bytes.div_ceil(4)])?,
            element,
            sampling: SamplingScratch {
                x_t: work([1, sampling.x_t])?,
                grad_y_t: work([1, sampling.grad_y_t])?,
                samples: work([1, sampling.samples])?,
            },
        })
    }
}

/// Words of scratch that are enough for the deltas of any layers with the same input.
fn sampling_words<D: Device>(
    device: &D,
    model: &Model<D>,
    options: &ModelOptions,
) -> SamplingScratch<usize> {
    let mut most = SamplingScratch { x_t: 0, grad_y_t: 0, samples: 0 };
    if options.trainable != Trainable::Deltas {
        return most;
    }
    for linears in model.layers.iter().flat_map(Layer::linears_by_input) {
        let sizes = linears.into_iter().filter_map(Linear::delta_size);
        let sizes: Vec<ModuleSize> = sizes.collect();
        if !sizes.is_empty() {
            let tokens = options.micro_batch_tokens as usize;
            let SamplingScratch { x_t, grad_y_t, samples } =
                device.sampling_words(tokens, &sizes, options.candidates);
            most.x_t = most.x_t.max(x_t);
            most.grad_y_t = most.grad_y_t.max(grad_y_t);
            most.samples = most.samples.max(samples);
        }
    }
    most
}

impl<D: Device> UpdateBuffers<D> {
    fn new(arena: &mut Arena<D>, model: &Model<D>, options: &ModelOptions) -> Result<Self> {
        let trains = options.trainable != Trainable::Nothing;
        let moves = options.trainable == Trainable::Deltas;
        let modules = model.linears().filter(|linear| moves && linear.delta.is_some()).count();
        let mut words = |count| arena.elements(Purpose::Workspace, [count]);
        Ok(Self {
            loss: words(if trains { 2 } else { 0 })?,
            clip: words(if trains { Clip::WORDS } else { 0 })?,
            replaced: words(2 * modules)?,
        })
    }
}

/// As many rows or fewer, by which the tiles of a product are filled: a GPU's have 64 or 128.
fn whole_tiles(rows: usize) -> usize {
    [128, 64].into_iter().find(|tile| rows >= *tile).map_or(rows, |tile| rows / tile * tile)
}

impl<D: Device> HeadScratch<D> {
    fn new(
        arena: &mut Arena<D>,
        model: &Model<D>,
        tokens: usize,
        training: bool,
        element: Element,
    ) -> Result<Self> {
        let config = &model.config;
        let (hidden, vocab) = (config.hidden_size as usize, config.vocab_size as usize);
        // Where every chunk decodes the head, there are half as many, and no memory goes into a dense one.
        let decodes = model.output_matrix().is_multiplied_stored(arena.device(), element);
        let logits = if decodes { 2 * LOGITS } else { LOGITS };
        let rows = whole_tiles(logits / vocab).clamp(1, tokens.max(1));
        let mut work = |width: usize| arena.elements(Purpose::Workspace, [rows, width]);
        Ok(Self {
            rows,
            hidden: work(hidden)?,
            logits: work(vocab)?,
            grad_hidden: if training { Some(work(hidden)?) } else { None },
        })
    }
}

impl<D: Device> BlockGrads<D> {
    fn new(arena: &mut Arena<D>, config: &ModelConfig, tokens: usize) -> Result<Self> {
        let (hidden, feed, shape) =
            (config.hidden_size as usize, config.intermediate_size as usize, heads(config, 0));
        let (queries, keys) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        let mut work = |width: usize| arena.elements(Purpose::Workspace, [tokens, width]);
        Ok(Self {
            stream: work(hidden)?,
            normed: work(hidden)?,
            attended: work(queries)?,
            q: work(queries)?,
            k: work(keys)?,
            v: work(keys)?,
            raw: if config.qk_norm { Some(work(queries)?) } else { None },
            activation: work(feed)?,
            gate: work(feed)?,
            up: work(feed)?,
        })
    }
}
