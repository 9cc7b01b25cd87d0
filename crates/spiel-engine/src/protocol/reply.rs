//! Every reply.

use super::{DeviceChoice, GpuList, Precision, Profile, WeightFormat};
use serde::Serialize;

/// The reply's header.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Reply {
    /// Nothing to say.
    Done,
    /// After `engineOpen`.
    EngineInfo(EngineInfo),
    /// After `gpuList`.
    GpuList(GpuList),
    /// After `engineStats`.
    MemoryTable(MemoryTable),
    /// After `profileRead`.
    Profile(Profile),
    /// After `modelCreate`.
    ModelPlan(ModelPlan),
    /// Describes the payload.
    ArrayInfo(ArrayInfo),
    /// After `gradientsTry`.
    GradientTrials(GradientTrials),
    /// After `deltaReselect`.
    Reselection(Reselection),
    /// After a forward pass.
    Loss(Loss),
    /// After `updateRead`.
    UpdateInfo(UpdateInfo),
    /// The request failed; the engine's state is as before, unless the code is `internal` or
    /// `deviceLost`, or `outOfMemory` while a model computes on a GPU.
    Error(ErrorInfo),
}

/// What was opened.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct EngineInfo {
    /// `cpu` or `gpu`.
    pub device: DeviceChoice,
    /// Why this device was taken.
    pub device_reason: String,
    /// The processor or adapter, in words.
    pub adapter: String,
    /// Threads that compute.
    pub threads: u32,
    /// What products by weights can round to.
    pub precisions: Vec<Precision>,
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
    /// What products by weights round to.
    pub precision: Precision,
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

/// What trials of the ways to compute gradients at deltas measured.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
pub struct GradientTrials {
    /// One row per size of module; none where the device has one way only.
    pub trials: Vec<GradientTrial>,
}

/// The trial of one size of module.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct GradientTrial {
    /// `in_features`.
    pub inputs: u32,
    /// `out_features`.
    pub outputs: u32,
    /// Deltas of the module.
    pub deltas: u32,
    /// Seconds with the gradient of each delta sampled by itself, for the largest micro-batch.
    pub sampled_seconds: f64,
    /// Seconds with dense tiles that the gradients are gathered from.
    pub dense_seconds: f64,
    /// Whether dense tiles were taken.
    pub dense: bool,
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

/// What became of the updates so far.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct UpdateInfo {
    /// The last update's loss, each micro-batch's sum times its factor; absent when not finite.
    pub loss: Option<f64>,
    /// The global 2-norm of the last update's gradients before they were scaled; absent when not finite.
    pub grad_norm: Option<f64>,
    /// The first update whose loss or gradients were not finite, by its `step`: it and all later ones were skipped.
    pub failed_step: Option<u32>,
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
    /// The device went away while it computed; what was saved before is intact.
    DeviceLost,
    /// A fault of the engine; it takes no more requests.
    Internal,
}
