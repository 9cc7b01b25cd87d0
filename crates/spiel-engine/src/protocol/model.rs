//! A model's numbers, and what it will be used for.

use super::{ActivationCheckpointing, Optimizer, Precision, Trainable, WeightFormat};
use serde::{Deserialize, Serialize};

/// The numbers of a LLaMA-like architecture, under Hugging Face's keys where there are such.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself, as in config.json")]
pub struct ModelConfig {
    /// D, the width of the residual stream.
    pub hidden_size: u32,
    /// F, the width of the feed-forward layer.
    pub intermediate_size: u32,
    /// Number of blocks.
    pub num_hidden_layers: u32,
    /// H, the number of query heads.
    pub num_attention_heads: u32,
    /// K, the number of key and value heads; divides H.
    pub num_key_value_heads: u32,
    /// Width of one head, even.
    pub head_dim: u32,
    /// V, the number of tokens.
    pub vocab_size: u32,
    /// The longest sequence the model is made for.
    pub max_position_embeddings: u32,
    /// Epsilon inside every RMSNorm.
    pub rms_norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Change of the rotary frequencies, if any.
    pub rope_scaling: Option<RopeScaling>,
    /// Whether the head is the embedding.
    pub tie_word_embeddings: bool,
    /// Whether q, k and v have biases (Qwen2).
    pub attention_bias: bool,
    /// Whether q and k are normalised (Qwen3).
    pub qk_norm: bool,
    /// Positions a query sees, itself included, when not all before it.
    pub sliding_window: Option<u32>,
    /// What each norm of q and k spans, with `qk_norm`.
    #[serde(default)]
    #[cfg_attr(feature = "gen", ts(optional, as = "Option<_>"))]
    pub qk_norm_span: NormSpan,
    /// Where the norms of a block stand.
    #[serde(default)]
    #[cfg_attr(feature = "gen", ts(optional, as = "Option<_>"))]
    pub norm_placement: NormPlacement,
    /// How each layer attends, where they differ; the rotary settings and the window above then do not count.
    #[cfg_attr(feature = "gen", ts(optional))]
    pub layers: Option<Vec<LayerAttention>>,
    /// What token embeddings are multiplied by; 1 when absent (Granite).
    #[cfg_attr(feature = "gen", ts(optional))]
    pub embedding_multiplier: Option<f32>,
    /// What products of queries and keys are multiplied by; 1 / sqrt(`head_dim`) when absent (Granite).
    #[cfg_attr(feature = "gen", ts(optional))]
    pub attention_multiplier: Option<f32>,
    /// What a branch is multiplied by before it is added to the residual stream; 1 when absent (Granite).
    #[cfg_attr(feature = "gen", ts(optional))]
    pub residual_multiplier: Option<f32>,
    /// What logits are divided by; 1 when absent (Granite).
    #[cfg_attr(feature = "gen", ts(optional))]
    pub logits_scaling: Option<f32>,
    /// What the gate of the feed-forward layer goes through.
    #[serde(default)]
    #[cfg_attr(feature = "gen", ts(optional, as = "Option<_>"))]
    pub hidden_act: HiddenAct,
    /// Whether the weights of norms are what they differ from one by (Gemma).
    #[serde(default)]
    #[cfg_attr(feature = "gen", ts(optional, as = "Option<_>"))]
    pub norm_unit_offset: bool,
    /// The bound c of attention's scores, which become c · tanh(score / c), if any (Gemma 2).
    #[cfg_attr(feature = "gen", ts(optional))]
    pub attn_logit_softcapping: Option<f32>,
    /// Likewise of logits (Gemma 2).
    #[cfg_attr(feature = "gen", ts(optional))]
    pub final_logit_softcapping: Option<f32>,
}

/// The activation of a gated feed-forward layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// x · sigmoid(x).
    #[default]
    Silu,
    /// The Gaussian error unit in its tanh approximation (Gemma).
    GeluPytorchTanh,
}

/// What one norm of queries or of keys spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum NormSpan {
    /// One head; all heads share the weights.
    #[default]
    Head,
    /// All heads of a token at once (`olmo2`).
    Row,
}

/// Where the norms of a block stand, in its attention and in its feed-forward half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum NormPlacement {
    /// Before each half: `input_layernorm`, `post_attention_layernorm`.
    #[default]
    Pre,
    /// After each half, before it is added: `post_attention_layernorm`, `post_feedforward_layernorm` (`olmo2`).
    Post,
    /// Both: `input_layernorm`, `post_attention_layernorm`, `pre_feedforward_layernorm`,
    /// `post_feedforward_layernorm` (`gemma2`).
    Both,
}

/// How one layer attends.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct LayerAttention {
    /// How queries and keys are rotated; not at all when absent (`smollm3`).
    pub rope: Option<Rope>,
    /// Positions a query sees, itself included, when not all before it.
    pub sliding_window: Option<u32>,
}

/// Rotary settings.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Rope {
    /// Base of the frequencies.
    pub rope_theta: f64,
    /// Change of the frequencies, if any.
    pub rope_scaling: Option<RopeScaling>,
}

/// How rotary frequencies are stretched for longer contexts.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(tag = "rope_type", rename_all = "snake_case", deny_unknown_fields)]
pub enum RopeScaling {
    /// All frequencies divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Low frequencies divided by `factor`, high ones kept, those between interpolated (Llama 3.1).
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Wavelengths over `original / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths under `original / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// The context length before stretching.
        original_max_position_embeddings: u32,
    },
}

/// What a model will be used for, which decides its memory.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelOptions {
    /// Stored formats that are not f32, by tensor name.
    pub formats: Vec<TensorFormat>,
    /// What gets gradients.
    pub trainable: Trainable,
    /// Deltas per module.
    pub deltas: Vec<DeltaCount>,
    /// Whether selection windows will be opened.
    pub candidates: bool,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Tokens of the largest micro-batch.
    pub micro_batch_tokens: u32,
    /// What the backward pass keeps.
    pub activation_checkpointing: ActivationCheckpointing,
    /// What products by weights round to; when absent, bf16 where that is faster on the device and no matrix is stored in
    /// f32, else f32.
    pub precision: Option<Precision>,
    /// Most bytes the plan may take; no limit when absent.
    pub memory_budget: Option<u64>,
}

/// The stored format of one tensor.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct TensorFormat {
    /// Hugging Face name.
    pub name: String,
    /// The format.
    pub format: WeightFormat,
}

/// The number of deltas of one module.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct DeltaCount {
    /// Module name.
    pub module: String,
    /// Number of deltas.
    pub count: u32,
}
