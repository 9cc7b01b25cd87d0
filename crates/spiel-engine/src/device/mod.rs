//! What a device must do: memory, and every operation of a training step on it.
//!
//! Operations are issued in order and may run later; only those that are `async` wait. The formulas are those of the
//! functions of the same names in `spiel_kernels::ops`. Buffers are zero when allocated; sizes are in elements unless
//! they say bytes.

mod block_ops;
#[cfg(all(feature = "gpu", any(feature = "conformance", all(test, feature = "native"))))]
mod conformance;
mod cpu;
#[cfg(feature = "gpu")]
mod gpu;
mod profile;
mod training_ops;

pub(crate) use block_ops::{
    AttentionPass, BlockOps, Dense, Factor, Gated, NormBackward, Qkv, Stored,
};
#[cfg(feature = "conformance")]
pub(crate) use conformance::{cases, open_gpus};
pub(crate) use cpu::CpuDevice;
#[cfg(feature = "gpu")]
pub(crate) use gpu::{Faults, GpuDevice, GpuWish, list_gpus, sees_no_hardware};
#[cfg(feature = "gpu")]
pub(crate) use training_ops::GradientTrial;
pub(crate) use training_ops::{
    AdamWState, CandidateState, Growth, SampledLayer, SamplingScratch, Sm3State, TrainingOps,
};

use crate::error::Result;
use crate::protocol::Profile;
use spiel_kernels::element::Element;

/// A place to compute.
pub(crate) trait Device: BlockOps + TrainingOps {}

impl<D: BlockOps + TrainingOps> Device for D {}

/// The sizes of a model's operations.
#[cfg_attr(
    not(feature = "gpu"),
    expect(dead_code, reason = "a CPU's operations hold as much for any tokens")
)]
pub(crate) struct OperationSizes {
    /// T of the largest micro-batch.
    pub(crate) tokens: usize,
    /// H.
    pub(crate) heads: usize,
    /// Bytes of the largest array; any may be read back.
    pub(crate) largest_array: u64,
    /// Elements of every array of gradients.
    pub(crate) trained: Vec<usize>,
    /// Every module with deltas.
    pub(crate) modules: Vec<ModuleSize>,
    /// Whether deltas are replaced.
    pub(crate) replaces: bool,
    /// What dense weights are kept in.
    pub(crate) element: Element,
    /// Logits of a token that are capped, none where they are not.
    pub(crate) capped: usize,
}

/// The size of a module with deltas.
pub(crate) struct ModuleSize {
    pub(crate) deltas: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

/// A device's memory.
pub(crate) trait Memory {
    /// Memory of the device, of 32-bit words.
    type Buffer;

    /// The processor or adapter, in words.
    fn adapter(&self) -> String;
    /// Threads that compute.
    fn threads(&self) -> usize;
    /// Bytes of the largest buffer that operations take.
    fn largest_buffer(&self) -> u64;
    /// Bytes that its buffers can have together.
    fn addressable(&self) -> u64 {
        usize::MAX as u64
    }
    /// Most deltas that a module can have.
    fn most_deltas(&self) -> usize {
        usize::MAX
    }
    /// Runs work of the host's own, such as encoding, on the threads that were asked for.
    fn on_threads<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        work()
    }
    fn allocate(&self, bytes: usize) -> Result<Self::Buffer>;
    /// What stands for a buffer while a model is planned: it takes no memory, and no operation takes it.
    fn nothing(&self) -> Self::Buffer;
    fn write(&self, buffer: &mut Self::Buffer, offset_bytes: usize, bytes: &[u8]);
    /// Bytes that the device holds for operations of these sizes, beside their operands.
    fn operation_bytes(&self, sizes: &OperationSizes) -> u64;
    async fn read(
        &self,
        buffer: &Self::Buffer,
        offset_bytes: usize,
        bytes: usize,
    ) -> Result<Vec<u8>>;
    /// Copies the first `count` words of `from` to `to[at..]`.
    fn copy(&self, from: &Self::Buffer, count: usize, to: &mut Self::Buffer, at: usize);
    fn clear(&self, buffer: &mut Self::Buffer);
    /// Waits until the device is no more than a few calls of this behind, so that what waits for it is bounded.
    async fn keep_up(&self) -> Result<()>;
    /// Runs the probes of what the device can do at most, `repeats` times, for a profile to time.
    fn probe(&self, repeats: usize) -> Result<()>;
    /// Counts and times what is issued from now on, or no longer.
    fn profile(&self, on: bool);
    /// What was counted since the last call, once all of it has happened; profiling is then off.
    async fn profiled(&self) -> Result<Profile>;
}
