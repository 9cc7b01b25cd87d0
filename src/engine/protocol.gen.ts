// Generated from crates/spiel-engine/src/protocol by `deno task gen`. Do not edit.

/** Identifies the protocol these types belong to. */
export const PROTOCOL_HASH = "47a5dd04b03caa9d";

/** Marks a position of a micro-batch whose next token is not trained. */
export const IGNORE = 0xFFFFFFFF;

/**
 * One operation and its arguments.
 */
export type Request =
  | {
    "op": "engineOpen";
    /**
     * The device to compute on.
     */
    device: DeviceChoice;
    /**
     * Worker threads of the CPU device; all cores when absent.
     */
    threads: number | null;
    /**
     * The GPU to open: its index in `gpuList`, its PCI id or a part of its name.
     * WebGPU shows one GPU, of the system's choice.
     */
    gpu: string | null;
    /**
     * Whether device `gpu` may be a software adapter. `auto` never is.
     */
    allowSoftware: boolean;
  }
  | { "op": "gpuList" }
  | { "op": "engineStats" }
  | {
    "op": "profileSwitch";
    /**
     * Whether to count from now on.
     */
    on: boolean;
  }
  | { "op": "profileRead" }
  | {
    "op": "modelCreate";
    /**
     * The architecture's numbers.
     */
    config: ModelConfig;
    /**
     * What the model will be used for.
     */
    options: ModelOptions;
    /**
     * Plans without allocating.
     */
    dryRun: boolean;
  }
  | {
    "op": "tensorWrite";
    /**
     * Hugging Face name.
     */
    name: string;
    /**
     * Offset in bytes, a multiple of the format's block.
     */
    offset: number;
  }
  | {
    "op": "tensorQuantizeScales";
    /**
     * Hugging Face name.
     */
    name: string;
  }
  | {
    "op": "tensorInit";
    /**
     * Seed of the counter-based generator.
     */
    seed: number;
    /**
     * Standard deviation of matrices and embeddings.
     */
    std: number;
  }
  | {
    "op": "tensorRead";
    /**
     * Hugging Face name.
     */
    name: string;
    /**
     * First row (a vector has one row).
     */
    row: number;
    /**
     * Number of rows.
     */
    rows: number;
    /**
     * The format to encode into.
     */
    format: WeightFormat;
    /**
     * Whether deltas are added (in f32) before encoding.
     */
    merged: boolean;
  }
  | {
    "op": "deltaAttach";
    /**
     * Module name, such as `model.layers.0.self_attn.q_proj`.
     */
    module: string;
    /**
     * Number of deltas.
     */
    count: number;
    /**
     * Seed of the random positions.
     */
    seed: number;
  }
  | { "op": "gradientsTry" }
  | {
    "op": "stateRead";
    /**
     * Module name (deltas) or tensor name (full training).
     */
    name: string;
    /**
     * Which array.
     */
    field: StateField;
    /**
     * First element.
     */
    offset: number;
    /**
     * Number of elements; all that follow when absent.
     */
    count: number | null;
  }
  | {
    "op": "stateWrite";
    /**
     * Module name (deltas) or tensor name (full training).
     */
    name: string;
    /**
     * Which array.
     */
    field: StateField;
    /**
     * First element.
     */
    offset: number;
  }
  | { "op": "candidatesBegin" }
  | { "op": "candidatesEnd" }
  | {
    "op": "candidatesResume";
    /**
     * Micro-batches seen.
     */
    samples: number;
  }
  | {
    "op": "deltaReselect";
    /**
     * What ranks the positions to grow.
     */
    criterion: GrowthCriterion;
    /**
     * Share of each module's deltas to replace, 0 to 1.
     */
    rate: number;
    /**
     * Micro-batches per step, which turns a window's samples into an age.
     */
    gradientAccumulationSteps: number;
    /**
     * AdamW's beta1, for the seeded first moment.
     */
    beta1: number;
    /**
     * AdamW's beta2, for the seeded second moment.
     */
    beta2: number;
  }
  | {
    "op": "forward";
    /**
     * Size of the micro-batch in the payload.
     */
    batch: BatchShape;
    /**
     * What the reply's payload holds.
     */
    output: ForwardOutput;
  }
  | {
    "op": "forwardBackward";
    /**
     * Size of the micro-batch in the payload.
     */
    batch: BatchShape;
    /**
     * Factor of the summed loss whose gradient is taken.
     */
    lossScale: number;
  }
  | {
    "op": "optimizerStep";
    /**
     * The step's numbers.
     */
    update: OptimizerUpdate;
  }
  | { "op": "updateRead" }
  | { "op": "gradClear" }
  | {
    "op": "generateBegin";
    /**
     * Most tokens the cache will hold.
     */
    maxTokens: number;
  }
  | { "op": "generateForward" }
  | { "op": "generateEnd" }
  | {
    "op": "productRun";
    /**
     * Rows of the result.
     */
    tokens: number;
    /**
     * The inner dimension.
     */
    inputs: number;
    /**
     * Columns of the result.
     */
    outputs: number;
    /**
     * How often.
     */
    repeats: number;
  }
  | {
    "op": "probeRun";
    /**
     * How often; a device may take several calls for each.
     */
    repeats: number;
  }
  | {
    "op": "convert";
    /**
     * The payload's format.
     */
    from: WeightFormat;
    /**
     * The reply's format.
     */
    to: WeightFormat;
    /**
     * Number of elements, a multiple of both formats' blocks.
     */
    elements: number;
  };

/**
 * A device to compute on.
 */
export type DeviceChoice = "auto" | "cpu" | "gpu";

/**
 * A way weights are stored, named as in GGUF.
 */
export type WeightFormat =
  | "f32"
  | "f16"
  | "bf16"
  | "q4_0"
  | "q4_1"
  | "q5_0"
  | "q5_1"
  | "q8_0"
  | "q2_k"
  | "q3_k"
  | "q4_k"
  | "q5_k"
  | "q6_k"
  | "nf4";

/**
 * An array that belongs to a module's deltas or to a fully trained tensor.
 */
export type StateField =
  | "indices"
  | "values"
  | "grads"
  | "ages"
  | "expAvg"
  | "expAvgSq"
  | "rowAccumulator"
  | "columnAccumulator"
  | "candidateIndices"
  | "candidateGrads"
  | "candidateGradsSq";

/**
 * How new positions are ranked.
 */
export type GrowthCriterion = "accumulatedGradients" | "momentumApproximation";

/**
 * The optimiser of what is trained.
 */
export type Optimizer = "adamw" | "sm3";

/**
 * What gets gradients.
 */
export type Trainable = "nothing" | "deltas" | "weights";

/**
 * What the backward pass keeps from the forward pass.
 */
export type ActivationCheckpointing = "none" | "block";

/**
 * What products by weights round to. Everything else is f32: sums, activations and gradients as they are kept, deltas,
 * optimiser state, and the products that make gradients in weights.
 */
export type Precision = "f32" | "f16" | "bf16";

/**
 * The numbers of a LLaMA-like architecture, under Hugging Face's keys where there are such.
 */
export type ModelConfig = {
  /**
   * D, the width of the residual stream.
   */
  hidden_size: number;
  /**
   * F, the width of the feed-forward layer.
   */
  intermediate_size: number;
  /**
   * Number of blocks.
   */
  num_hidden_layers: number;
  /**
   * H, the number of query heads.
   */
  num_attention_heads: number;
  /**
   * K, the number of key and value heads; divides H.
   */
  num_key_value_heads: number;
  /**
   * Width of one head, even.
   */
  head_dim: number;
  /**
   * V, the number of tokens.
   */
  vocab_size: number;
  /**
   * The longest sequence the model is made for.
   */
  max_position_embeddings: number;
  /**
   * Epsilon inside every RMSNorm.
   */
  rms_norm_eps: number;
  /**
   * Base of the rotary frequencies.
   */
  rope_theta: number;
  /**
   * Change of the rotary frequencies, if any.
   */
  rope_scaling: RopeScaling | null;
  /**
   * Whether the head is the embedding.
   */
  tie_word_embeddings: boolean;
  /**
   * Whether q, k and v have biases (Qwen2).
   */
  attention_bias: boolean;
  /**
   * Whether q and k are normalised (Qwen3).
   */
  qk_norm: boolean;
  /**
   * Positions a query sees, itself included, when not all before it.
   */
  sliding_window: number | null;
  /**
   * What each norm of q and k spans, with `qk_norm`.
   */
  qk_norm_span?: NormSpan;
  /**
   * Where the norms of a block stand.
   */
  norm_placement?: NormPlacement;
  /**
   * How each layer attends, where they differ; the rotary settings and the window above then do not count.
   */
  layers?: Array<LayerAttention>;
  /**
   * What token embeddings are multiplied by; 1 when absent (Granite).
   */
  embedding_multiplier?: number;
  /**
   * What products of queries and keys are multiplied by; 1 / sqrt(`head_dim`) when absent (Granite).
   */
  attention_multiplier?: number;
  /**
   * What a branch is multiplied by before it is added to the residual stream; 1 when absent (Granite).
   */
  residual_multiplier?: number;
  /**
   * What logits are divided by; 1 when absent (Granite).
   */
  logits_scaling?: number;
  /**
   * What the gate of the feed-forward layer goes through.
   */
  hidden_act?: HiddenAct;
  /**
   * Whether the weights of norms are what they differ from one by (Gemma).
   */
  norm_unit_offset?: boolean;
  /**
   * The bound c of attention's scores, which become c · tanh(score / c), if any (Gemma 2).
   */
  attn_logit_softcapping?: number;
  /**
   * Likewise of logits (Gemma 2).
   */
  final_logit_softcapping?: number;
};

/**
 * The activation of a gated feed-forward layer.
 */
export type HiddenAct = "silu" | "gelu_pytorch_tanh";

/**
 * What one norm of queries or of keys spans.
 */
export type NormSpan = "head" | "row";

/**
 * Where the norms of a block stand, in its attention and in its feed-forward half.
 */
export type NormPlacement = "pre" | "post" | "both";

/**
 * How one layer attends.
 */
export type LayerAttention = {
  /**
   * How queries and keys are rotated; not at all when absent (`smollm3`).
   */
  rope: Rope | null;
  /**
   * Positions a query sees, itself included, when not all before it.
   */
  sliding_window: number | null;
};

/**
 * Rotary settings.
 */
export type Rope = {
  /**
   * Base of the frequencies.
   */
  rope_theta: number;
  /**
   * Change of the frequencies, if any.
   */
  rope_scaling: RopeScaling | null;
};

/**
 * How rotary frequencies are stretched for longer contexts.
 */
export type RopeScaling = {
  "rope_type": "linear";
  /**
   * The divisor.
   */
  factor: number;
} | {
  "rope_type": "llama3";
  /**
   * The divisor of low frequencies.
   */
  factor: number;
  /**
   * Wavelengths over `original / low_freq_factor` are divided.
   */
  low_freq_factor: number;
  /**
   * Wavelengths under `original / high_freq_factor` are kept.
   */
  high_freq_factor: number;
  /**
   * The context length before stretching.
   */
  original_max_position_embeddings: number;
};

/**
 * What a model will be used for, which decides its memory.
 */
export type ModelOptions = {
  /**
   * Stored formats that are not f32, by tensor name.
   */
  formats: Array<TensorFormat>;
  /**
   * What gets gradients.
   */
  trainable: Trainable;
  /**
   * Deltas per module.
   */
  deltas: Array<DeltaCount>;
  /**
   * Whether selection windows will be opened.
   */
  candidates: boolean;
  /**
   * The optimiser.
   */
  optimizer: Optimizer;
  /**
   * Tokens of the largest micro-batch.
   */
  microBatchTokens: number;
  /**
   * What the backward pass keeps.
   */
  activationCheckpointing: ActivationCheckpointing;
  /**
   * What products by weights round to; when absent, bf16 where that is faster on the device and no matrix is stored in
   * f32, else f32.
   */
  precision: Precision | null;
  /**
   * Most bytes the plan may take; no limit when absent.
   */
  memoryBudget: number | null;
};

/**
 * The stored format of one tensor.
 */
export type TensorFormat = {
  /**
   * Hugging Face name.
   */
  name: string;
  /**
   * The format.
   */
  format: WeightFormat;
};

/**
 * The number of deltas of one module.
 */
export type DeltaCount = {
  /**
   * Module name.
   */
  module: string;
  /**
   * Number of deltas.
   */
  count: number;
};

/**
 * The size of a micro-batch.
 *
 * Its payload is `tokens u32 [tokens]`, `targets u32 [tokens]` (the token to predict after each, or
 * [`IGNORE`]) and `cu_seqlens u32 [sequences + 1]` (0, then the end of each sequence).
 */
export type BatchShape = {
  /**
   * T, the number of tokens.
   */
  tokens: number;
  /**
   * B, the number of sequences.
   */
  sequences: number;
};

/**
 * The payload of a forward pass's reply.
 */
export type ForwardOutput = "loss" | "tokenLosses" | "logits" | "hiddenStates";

/**
 * The numbers of one optimiser update.
 */
export type OptimizerUpdate = {
  /**
   * Learning rate.
   */
  learningRate: number;
  /**
   * Decoupled weight decay: of deltas towards zero, and of matrices, but not of norms and biases.
   */
  weightDecay: number;
  /**
   * AdamW's decay of the first moment.
   */
  beta1: number;
  /**
   * AdamW's decay of the second moment.
   */
  beta2: number;
  /**
   * Added to the root of the second moment (AdamW) or inside it (SM3).
   */
  epsilon: number;
  /**
   * The global 2-norm above which gradients are scaled down to it; 0 is no limit.
   */
  maxGradNorm: number;
  /**
   * Updates made, this one included; AdamW's bias correction of whole weights.
   */
  step: number;
};

/**
 * The reply's header.
 */
export type Reply =
  | { "kind": "done" }
  | { "kind": "engineInfo" } & EngineInfo
  | { "kind": "gpuList" } & GpuList
  | { "kind": "memoryTable" } & MemoryTable
  | { "kind": "profile" } & Profile
  | { "kind": "modelPlan" } & ModelPlan
  | { "kind": "arrayInfo" } & ArrayInfo
  | { "kind": "gradientTrials" } & GradientTrials
  | { "kind": "reselection" } & Reselection
  | { "kind": "loss" } & Loss
  | { "kind": "updateInfo" } & UpdateInfo
  | { "kind": "error" } & ErrorInfo;

/**
 * What was opened.
 */
export type EngineInfo = {
  /**
   * `cpu` or `gpu`.
   */
  device: DeviceChoice;
  /**
   * Why this device was taken.
   */
  deviceReason: string;
  /**
   * The processor or adapter, in words.
   */
  adapter: string;
  /**
   * Threads that compute.
   */
  threads: number;
  /**
   * What products by weights can round to.
   */
  precisions: Array<Precision>;
  /**
   * The stored formats this engine reads.
   */
  formats: Array<FormatInfo>;
};

/**
 * The GPUs of this machine, the one that `auto` prefers first.
 */
export type GpuList = {
  /**
   * Whether this build can compute on a GPU at all.
   */
  supported: boolean;
  /**
   * Every adapter that the system offers, software adapters last.
   */
  gpus: Array<GpuInfo>;
  /**
   * Why there is no hardware GPU to compute on and what to do about it; absent when there is one.
   */
  problem: string | null;
};

/**
 * One adapter: a GPU behind one driver.
 */
export type GpuInfo = {
  /**
   * Its place in the list, by which it can be chosen.
   */
  index: number;
  /**
   * The maker's name for it.
   */
  name: string;
  /**
   * `vulkan`, `metal`, `dx12` or `webgpu`.
   */
  backend: string;
  /**
   * `discrete`, `integrated`, `virtual`, `software` or `unknown`.
   */
  kind: string;
  /**
   * The driver and its version, in words; empty where not known.
   */
  driver: string;
  /**
   * Its place on the bus, such as `0000:01:00.0`, where known.
   */
  pciId: string | null;
  /**
   * Whether a CPU plays the GPU, far slower than the CPU device.
   */
  software: boolean;
  /**
   * What it allows.
   */
  limits: GpuLimits;
  /**
   * What it offers beyond WebGPU's minimum: `shader-f16`, `timestamp-query`, `subgroups`, `cooperative-matrix`.
   */
  features: Array<string>;
  /**
   * Why it cannot be used; absent when it can.
   */
  problem: string | null;
};

/**
 * The limits of an adapter that decide what fits.
 */
export type GpuLimits = {
  /**
   * Bytes of the largest buffer.
   */
  maxBufferSize: number;
  /**
   * Bytes of a buffer that a kernel sees at once.
   */
  maxStorageBufferBindingSize: number;
  /**
   * Buffers that a kernel sees.
   */
  maxStorageBuffersPerShaderStage: number;
  /**
   * Bytes that a workgroup shares.
   */
  maxComputeWorkgroupStorageSize: number;
  /**
   * Invocations of a workgroup.
   */
  maxComputeInvocationsPerWorkgroup: number;
};

/**
 * One stored format.
 */
export type FormatInfo = {
  /**
   * The format.
   */
  format: WeightFormat;
  /**
   * Elements per block.
   */
  blockElements: number;
  /**
   * Bytes per block.
   */
  blockBytes: number;
};

/**
 * Counts and times since the last `profileRead`, of what was issued while profiling was on.
 */
export type Profile = {
  /**
   * One row per operation, shape and format, and per amount of work where that differs, in the order of first calls.
   */
  operations: Array<ProfileRow>;
  /**
   * What the host asked of the device.
   */
  totals: ProfileTotals;
  /**
   * The last calls that were timed, in the order in which their times came in.
   */
  calls: Array<ProfileCall>;
  /**
   * Timed calls before them, which are in `operations` alone.
   */
  earlierCalls: number;
};

/**
 * One call of an operation, or one dispatch.
 */
export type ProfileCall = {
  /**
   * Number of its row in `operations`, from 0.
   */
  row: number;
  /**
   * Which time that profiling was on, from 0.
   */
  period: number;
  /**
   * Seconds from when the device first timed one, by its own clock.
   */
  start: number;
  /**
   * How long it took.
   */
  seconds: number;
};

/**
 * One operation on operands of one shape.
 */
export type ProfileRow = {
  /**
   * Its name: on a GPU that of the program, so that an operation may have several rows.
   */
  operation: string;
  /**
   * The sizes that it works on, in the order of its formula; empty where they are not kept.
   */
  shape: Array<number>;
  /**
   * The stored format that it decodes; absent where it decodes none.
   */
  format: WeightFormat | null;
  /**
   * How often it ran; on a GPU, dispatches.
   */
  calls: number;
  /**
   * Seconds of all calls, on the device's own clock; absent where it has none.
   */
  seconds: number | null;
  /**
   * Floating-point operations of all calls, a multiply-add as two; absent where they are not counted.
   */
  flops: number | null;
  /**
   * Bytes that all calls must move, every operand once; absent where they are not counted.
   */
  bytes: number | null;
};

/**
 * What the host asked of a device.
 */
export type ProfileTotals = {
  /**
   * Programs started; on the CPU, calls.
   */
  dispatches: number;
  /**
   * Recordings submitted.
   */
  submissions: number;
  /**
   * Times that the host waited for device memory.
   */
  readBacks: number;
  /**
   * Bytes read back.
   */
  readBytes: number;
  /**
   * Bytes written by the host.
   */
  writtenBytes: number;
};

/**
 * Bytes per purpose.
 */
export type MemoryTable = {
  /**
   * One row per purpose.
   */
  rows: Array<MemoryRow>;
  /**
   * Their sum.
   */
  totalBytes: number;
};

/**
 * The bytes of one purpose.
 */
export type MemoryRow = {
  /**
   * What the bytes are for.
   */
  purpose: string;
  /**
   * How many.
   */
  bytes: number;
};

/**
 * A model's memory and parts.
 */
export type ModelPlan = {
  /**
   * Bytes per purpose.
   */
  memory: MemoryTable;
  /**
   * Every tensor, in the order of the layers.
   */
  tensors: Array<TensorInfo>;
  /**
   * Weights in the model, a tied head counted once.
   */
  parameters: number;
  /**
   * What products by weights round to.
   */
  precision: Precision;
};

/**
 * One tensor of a model.
 */
export type TensorInfo = {
  /**
   * Hugging Face name.
   */
  name: string;
  /**
   * `[out, in]` or `[n]`.
   */
  shape: Array<number>;
  /**
   * How it is stored.
   */
  format: WeightFormat;
  /**
   * The module's name when it may carry deltas.
   */
  deltaModule: string | null;
};

/**
 * The payload's element type and count.
 */
export type ArrayInfo = {
  /**
   * `u32` or `f32`; for stored formats, `bytes`.
   */
  dtype: ArrayType;
  /**
   * Number of elements.
   */
  elements: number;
};

/**
 * The element type of a payload.
 */
export type ArrayType = "u32" | "f32" | "bytes";

/**
 * What trials of the ways to compute gradients at deltas measured.
 */
export type GradientTrials = {
  /**
   * One row per size of module; none where the device has one way only.
   */
  trials: Array<GradientTrial>;
};

/**
 * The trial of one size of module.
 */
export type GradientTrial = {
  /**
   * `in_features`.
   */
  inputs: number;
  /**
   * `out_features`.
   */
  outputs: number;
  /**
   * Deltas of the module.
   */
  deltas: number;
  /**
   * Seconds with the gradient of each delta sampled by itself, for the largest micro-batch.
   */
  sampledSeconds: number;
  /**
   * Seconds with dense tiles that the gradients are gathered from.
   */
  denseSeconds: number;
  /**
   * Whether dense tiles were taken.
   */
  dense: boolean;
};

/**
 * What a reselection replaced.
 */
export type Reselection = {
  /**
   * One row per module, in the order of the layers.
   */
  modules: Array<ModuleReselection>;
};

/**
 * What a reselection replaced in one module: as many deltas dropped as grown.
 */
export type ModuleReselection = {
  /**
   * Module name.
   */
  module: string;
  /**
   * Deltas the rate asked to replace.
   */
  requested: number;
  /**
   * Deltas replaced.
   */
  replaced: number;
};

/**
 * The loss of a micro-batch.
 */
export type Loss = {
  /**
   * Cross-entropy summed over the targets, in nats; absent when not finite.
   */
  sum: number | null;
  /**
   * Number of targets.
   */
  targetTokens: number;
};

/**
 * What became of the updates so far.
 */
export type UpdateInfo = {
  /**
   * The last update's loss, each micro-batch's sum times its factor; absent when not finite.
   */
  loss: number | null;
  /**
   * The global 2-norm of the last update's gradients before they were scaled; absent when not finite.
   */
  gradNorm: number | null;
  /**
   * The first update whose loss or gradients were not finite, by its `step`: it and all later ones were skipped.
   */
  failedStep: number | null;
};

/**
 * Why a request failed.
 */
export type ErrorInfo = {
  /**
   * A stable code.
   */
  code: ErrorCode;
  /**
   * A sentence.
   */
  message: string;
};

/**
 * The kinds of failure.
 */
export type ErrorCode =
  | "invalidRequest"
  | "invalidState"
  | "outOfMemory"
  | "deviceUnavailable"
  | "deviceLost"
  | "internal";
