//! Every request: one operation and its arguments each.

use super::{DeviceChoice, GrowthCriterion, ModelConfig, ModelOptions, StateField, WeightFormat};
use serde::Deserialize;

/// One operation and its arguments.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Request {
    /// Opens the device. Must be the first request. Reply: [`EngineInfo`].
    EngineOpen {
        /// The device to compute on.
        device: DeviceChoice,
        /// Worker threads of the CPU device; all cores when absent.
        threads: Option<u32>,
        /// The GPU to open: its index in `gpuList`, its PCI id or a part of its name.
        /// WebGPU shows one GPU, of the system's choice.
        gpu: Option<String>,
        /// Whether device `gpu` may be a software adapter. `auto` never is.
        allow_software: bool,
    },
    /// Lists the GPUs of this machine; needs no open engine. Reply: [`GpuList`].
    GpuList {},
    /// Reports the memory held now. Reply: [`MemoryTable`].
    EngineStats {},
    /// Counts and times operations from now on, or no longer.
    ProfileSwitch {
        /// Whether to count from now on.
        on: bool,
    },
    /// Reports what was counted since the last report; profiling is then off. Reply: [`Profile`].
    ProfileRead {},
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
    /// Quantises the scales of a whole NF4 tensor in turn, as bitsandbytes does.
    TensorQuantizeScales {
        /// Hugging Face name.
        name: String,
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
    /// Measures the ways in which a device can compute the gradients at the attached deltas, and takes the faster one for
    /// each size of module; all give the same bits. To be asked before training, between steps. Reply:
    /// [`GradientTrials`].
    GradientsTry {},
    /// Reads elements of one field of a module's deltas or of a fully trained tensor. Reply: [`ArrayInfo`] and the
    /// values.
    StateRead {
        /// Module name (deltas) or tensor name (full training).
        name: String,
        /// Which array.
        field: StateField,
        /// First element.
        offset: u32,
        /// Number of elements; all that follow when absent.
        count: Option<u32>,
    },
    /// Writes elements of one field; the payload says how many. Indices of
    /// candidates cannot be written once a window has chosen its own; `candidatesResume` checks them.
    StateWrite {
        /// Module name (deltas) or tensor name (full training).
        name: String,
        /// Which array.
        field: StateField,
        /// First element.
        offset: u32,
    },
    /// Opens a selection window: the next backward picks the candidates, later ones accumulate at them.
    CandidatesBegin {},
    /// Closes the window and forgets its candidates.
    CandidatesEnd {},
    /// Opens a window that has seen micro-batches, when a run resumes inside it;
    /// its candidates have been written.
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
    /// Runs forward and backward, adding to the gradients and to the loss that they are of, without waiting for it.
    /// Payload: a micro-batch.
    ForwardBackward {
        /// Size of the micro-batch in the payload.
        batch: BatchShape,
        /// Factor of the summed loss whose gradient is taken.
        loss_scale: f64,
    },
    /// Scales the gradients so that their norm is at most the limit, updates what is trained and clears the gradients,
    /// without waiting for it. An update whose loss or gradients are not finite is skipped, and all that follow it.
    OptimizerStep {
        /// The step's numbers.
        update: OptimizerUpdate,
    },
    /// Waits for the last update. Reply: [`UpdateInfo`].
    UpdateRead {},
    /// Clears the gradients without an update, and ends the skipping of updates.
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
    /// Runs a dense product of zeros `repeats` times, for the caller to time.
    ProductRun {
        /// Rows of the result.
        tokens: u32,
        /// The inner dimension.
        inputs: u32,
        /// Columns of the result.
        outputs: u32,
        /// How often.
        repeats: u32,
    },
    /// Runs the probes of what the device can do at most, for a profile to time: `fma_probe` and `copy_probe`.
    ProbeRun {
        /// How often; a device may take several calls for each.
        repeats: u32,
    },
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
    /// Decoupled weight decay: of deltas towards zero, and of matrices, but not of norms and biases.
    pub weight_decay: f64,
    /// AdamW's decay of the first moment.
    pub beta1: f64,
    /// AdamW's decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment (AdamW) or inside it (SM3).
    pub epsilon: f64,
    /// The global 2-norm above which gradients are scaled down to it; 0 is no limit.
    pub max_grad_norm: f64,
    /// Updates made, this one included; AdamW's bias correction of whole weights.
    pub step: u32,
}
