//! The boundary: every request the engine takes and every reply it gives, as serde types.
//!
//! A message is a small JSON header (one of these types) and a raw payload; tensor bytes are never
//! serialised. All payloads are little-endian. `src/engine/protocol.gen.ts` is generated from this file.

use serde::{Deserialize, Serialize};

/// Marks a position of a micro-batch whose next token is not trained.
pub const IGNORE: u32 = u32::MAX;

/// Identifies the protocol: a hash of this file's text, compared when an engine is opened.
#[must_use]
pub fn protocol_hash() -> String {
    // FNV-1a, 64 bits; carriage returns do not count, so a checkout with CRLF line ends agrees.
    let text = include_bytes!("protocol.rs")
        .iter()
        .filter(|byte| **byte != b'\r');
    let hash = text.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// One operation and its arguments.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(
    tag = "op",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Request {
    /// Opens the device. Must be the first request. Reply: [`EngineInfo`].
    EngineOpen {
        /// The device to compute on.
        device: DeviceChoice,
        /// Worker threads of the CPU device; all cores when absent.
        threads: Option<u32>,
    },
    /// Reports the memory held now. Reply: [`MemoryTable`].
    EngineStats {},
    /// Plans a model's memory and, unless `dryRun`, allocates it. Replaces any earlier model. Reply: [`ModelPlan`].
    ModelCreate {
        /// The architecture's numbers.
        config: ModelConfig,
        /// What the model will be used for.
        options: ModelOptions,
        /// Plans without allocating.
        dry_run: bool,
    },
    /// Writes stored bytes of one tensor. Payload: bytes in the tensor's format.
    TensorWrite {
        /// Hugging Face name.
        name: String,
        /// Offset in bytes, a multiple of the format's block.
        offset: u64,
    },
    /// Fills every weight for training from scratch: normal matrices, norms of one, biases of zero.
    TensorInit {
        /// Seed of the counter-based generator.
        seed: u32,
        /// Standard deviation of matrices and embeddings.
        std: f32,
    },
    /// Reads rows of one tensor, encoded as `format`. Reply: [`ArrayInfo`] and the rows' bytes.
    TensorRead {
        /// Hugging Face name.
        name: String,
        /// First row (a vector has one row).
        row: u32,
        /// Number of rows.
        rows: u32,
        /// The format to encode into.
        format: WeightFormat,
        /// Whether deltas are added (in f32) before encoding.
        merged: bool,
    },
    /// Gives a module its deltas, with values of zero. Payload: sorted unique `u32` indices, or empty
    /// for random positions drawn from `seed`.
    DeltaAttach {
        /// Module name, such as `model.layers.0.self_attn.q_proj`.
        module: String,
        /// Number of deltas.
        count: u32,
        /// Seed of the random positions.
        seed: u32,
    },
    /// Reads one field of a module's deltas or of a fully trained tensor. Reply: [`ArrayInfo`] and the values.
    StateRead {
        /// Module name (deltas) or tensor name (full training).
        name: String,
        /// Which array.
        field: StateField,
    },
    /// Writes one field; the payload has the field's whole length.
    StateWrite {
        /// Module name (deltas) or tensor name (full training).
        name: String,
        /// Which array.
        field: StateField,
    },
    /// Opens a selection window: the next backward picks the candidates, later ones accumulate at them.
    CandidatesBegin {},
    /// Closes the window and forgets its candidates.
    CandidatesEnd {},
    /// Sets the number of micro-batches an open window has seen, when a run resumes inside it.
    CandidatesResume {
        /// Micro-batches seen.
        samples: u32,
    },
    /// Drops the smallest deltas of every module and grows as many. Reply: [`Reselection`].
    DeltaReselect {
        /// What ranks the positions to grow.
        criterion: GrowthCriterion,
        /// Share of each module's deltas to replace, 0 to 1.
        rate: f64,
        /// Micro-batches per step, which turns a window's samples into an age.
        gradient_accumulation_steps: u32,
        /// AdamW's beta1, for the seeded first moment.
        beta1: f64,
        /// AdamW's beta2, for the seeded second moment.
        beta2: f64,
    },
    /// Runs the model forward. Payload: a micro-batch. Reply: [`Loss`] and the output asked for.
    Forward {
        /// Size of the micro-batch in the payload.
        batch: BatchShape,
        /// What the reply's payload holds.
        output: ForwardOutput,
    },
    /// Runs forward and backward, adding to the gradients. Payload: a micro-batch. Reply: [`Loss`].
    ForwardBackward {
        /// Size of the micro-batch in the payload.
        batch: BatchShape,
        /// Factor of the summed loss whose gradient is taken.
        loss_scale: f64,
    },
    /// Measures the global 2-norm of all gradients. Reply: [`GradNorm`].
    GradNorm {},
    /// Updates what is trained and clears the gradients.
    OptimizerStep {
        /// The step's numbers.
        update: OptimizerUpdate,
    },
    /// Clears the gradients without an update.
    GradClear {},
    /// Starts a generation with an empty key-value cache.
    GenerateBegin {
        /// Most tokens the cache will hold.
        max_tokens: u32,
    },
    /// Feeds tokens. Payload: `u32` tokens. Reply: [`ArrayInfo`] and the f32 logits after the last one.
    GenerateForward {},
    /// Frees the key-value cache.
    GenerateEnd {},
    /// Converts rows of one stored format into another. Payload: bytes of `from`. Reply: [`ArrayInfo`] and bytes of `to`.
    Convert {
        /// The payload's format.
        from: WeightFormat,
        /// The reply's format.
        to: WeightFormat,
        /// Number of elements, a multiple of both formats' blocks.
        elements: u32,
    },
}

/// A device to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum DeviceChoice {
    /// The best that this build and machine have.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU.
    Gpu,
}

/// A way weights are stored, named as in GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum WeightFormat {
    /// 32-bit floats.
    F32,
    /// IEEE half floats.
    F16,
    /// bfloat16.
    Bf16,
    /// 32 four-bit codes and a half scale.
    #[serde(rename = "q4_0")]
    Q4_0,
    /// 32 four-bit codes, a half scale and a half minimum.
    #[serde(rename = "q4_1")]
    Q4_1,
    /// 32 eight-bit codes and a half scale.
    #[serde(rename = "q8_0")]
    Q8_0,
}

/// An array that belongs to a module's deltas or to a fully trained tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum StateField {
    /// `u32 [k]`: sorted flat row-major positions.
    Indices,
    /// `f32 [k]`: the deltas.
    Values,
    /// `f32`: gradients of what is trained, in its shape.
    Grads,
    /// `f32 [k]`: AdamW's per-delta age (deltas only).
    Ages,
    /// `f32`: AdamW's first moment.
    ExpAvg,
    /// `f32`: AdamW's second moment.
    ExpAvgSq,
    /// `f32 [out]`: SM3's row accumulator.
    RowAccumulator,
    /// `f32 [in]`: SM3's column accumulator.
    ColumnAccumulator,
    /// `u32 [k]`: sorted candidate positions of the open window.
    CandidateIndices,
    /// `f32 [k]`: gradients summed over the window.
    CandidateGrads,
    /// `f32 [k]`: squared gradients summed over the window.
    CandidateGradsSq,
}

/// How new positions are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum GrowthCriterion {
    /// SpIEL-AG: by the gradient accumulated at the window's candidates.
    AccumulatedGradients,
    /// SpIEL-MA: by the product of SM3's row and column accumulators.
    MomentumApproximation,
}

/// The optimiser of what is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Optimizer {
    /// AdamW; on deltas with an age of their own each.
    Adamw,
    /// SM3 with one row and one column accumulator (deltas only).
    Sm3,
}

/// What gets gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Trainable {
    /// Nothing: evaluation and generation only.
    Nothing,
    /// The deltas.
    Deltas,
    /// Every weight; all weights must be f32.
    Weights,
}

/// What the backward pass keeps from the forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum ActivationCheckpointing {
    /// Every block's activations.
    None,
    /// Every block's input; the rest is computed again.
    Block,
}

/// The numbers of a LLaMA-like architecture, under Hugging Face's keys.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
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
    /// Whether q and k are normalised per head (Qwen3).
    pub qk_norm: bool,
    /// Positions a query sees, itself included, when not all before it.
    pub sliding_window: Option<u32>,
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

/// The size of a micro-batch.
///
/// Its payload is `tokens u32 [tokens]`, `targets u32 [tokens]` (the token to predict after each, or
/// [`IGNORE`]) and `cu_seqlens u32 [sequences + 1]` (0, then the end of each sequence).
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct BatchShape {
    /// T, the number of tokens.
    pub tokens: u32,
    /// B, the number of sequences.
    pub sequences: u32,
}

/// The payload of a forward pass's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum ForwardOutput {
    /// Nothing: the loss alone.
    Loss,
    /// `f32 [T]`: the loss of every position, 0 where the target is [`IGNORE`].
    TokenLosses,
    /// `f32 [T, V]`: all logits.
    Logits,
    /// `f32 [layers + 1, T, D]`: the embedding's output, each block's but the last one's, the final norm's.
    HiddenStates,
}

/// The numbers of one optimiser update.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OptimizerUpdate {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay, of deltas towards zero and of weights.
    pub weight_decay: f64,
    /// AdamW's decay of the first moment.
    pub beta1: f64,
    /// AdamW's decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment (AdamW) or inside it (SM3).
    pub epsilon: f64,
    /// Factor of the gradients, below one when they are clipped.
    pub grad_scale: f64,
    /// Updates made, this one included; AdamW's bias correction of whole weights.
    pub step: u32,
}

/// The reply's header.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Reply {
    /// Nothing to say.
    Done,
    /// After `engineOpen`.
    EngineInfo(EngineInfo),
    /// After `engineStats`.
    MemoryTable(MemoryTable),
    /// After `modelCreate`.
    ModelPlan(ModelPlan),
    /// Describes the payload.
    ArrayInfo(ArrayInfo),
    /// After `deltaReselect`.
    Reselection(Reselection),
    /// After a forward pass.
    Loss(Loss),
    /// After `gradNorm`.
    GradNorm(GradNorm),
    /// The request failed; the engine's state is as before, unless the code is `internal`.
    Error(ErrorInfo),
}

/// What was opened.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct EngineInfo {
    /// `cpu` or `gpu`.
    pub device: DeviceChoice,
    /// The processor or adapter, in words.
    pub adapter: String,
    /// Threads that compute.
    pub threads: u32,
    /// The stored formats this engine reads.
    pub formats: Vec<FormatInfo>,
}

/// One stored format.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct FormatInfo {
    /// The format.
    pub format: WeightFormat,
    /// Elements per block.
    pub block_elements: u32,
    /// Bytes per block.
    pub block_bytes: u32,
}

/// Bytes per purpose.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MemoryTable {
    /// One row per purpose.
    pub rows: Vec<MemoryRow>,
    /// Their sum.
    pub total_bytes: u64,
}

/// The bytes of one purpose.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
pub struct MemoryRow {
    /// What the bytes are for.
    pub purpose: String,
    /// How many.
    pub bytes: u64,
}

/// A model's memory and parts.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
pub struct ModelPlan {
    /// Bytes per purpose.
    pub memory: MemoryTable,
    /// Every tensor, in the order of the layers.
    pub tensors: Vec<TensorInfo>,
    /// Weights in the model, a tied head counted once.
    pub parameters: u64,
}

/// One tensor of a model.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct TensorInfo {
    /// Hugging Face name.
    pub name: String,
    /// `[out, in]` or `[n]`.
    pub shape: Vec<u32>,
    /// How it is stored.
    pub format: WeightFormat,
    /// The module's name when it may carry deltas.
    pub delta_module: Option<String>,
}

/// The payload's element type and count.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
pub struct ArrayInfo {
    /// `u32` or `f32`; for stored formats, `bytes`.
    pub dtype: ArrayType,
    /// Number of elements.
    pub elements: u32,
}

/// The element type of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum ArrayType {
    /// 32-bit unsigned integers.
    U32,
    /// 32-bit floats.
    F32,
    /// Blocks of a stored format.
    Bytes,
}

/// What a reselection replaced.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
pub struct Reselection {
    /// One row per module, in the order of the layers.
    pub modules: Vec<ModuleReselection>,
}

/// What a reselection replaced in one module: as many deltas dropped as grown.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
pub struct ModuleReselection {
    /// Module name.
    pub module: String,
    /// Deltas the rate asked to replace.
    pub requested: u32,
    /// Deltas replaced.
    pub replaced: u32,
}

/// The loss of a micro-batch.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    /// Cross-entropy summed over the targets, in nats; absent when not finite.
    pub sum: Option<f64>,
    /// Number of targets.
    pub target_tokens: u32,
}

/// The global gradient norm.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
pub struct GradNorm {
    /// The 2-norm; absent when not finite.
    pub norm: Option<f64>,
}

/// Why a request failed.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
pub struct ErrorInfo {
    /// A stable code.
    pub code: ErrorCode,
    /// A sentence.
    pub message: String,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum ErrorCode {
    /// The request's arguments or payload are wrong.
    InvalidRequest,
    /// The request does not fit what was done before.
    InvalidState,
    /// The memory plan exceeds its budget, or memory could not be had.
    OutOfMemory,
    /// No usable device.
    DeviceUnavailable,
    /// A fault of the engine; it takes no more requests.
    Internal,
}
