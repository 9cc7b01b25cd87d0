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
mod training_ops;

pub(crate) use block_ops::{AttentionPass, BlockOps, LinearShape, NormBackward, Qkv, Stored};
#[cfg(feature = "conformance")]
pub(crate) use conformance::{CASES, open_gpus};
pub(crate) use cpu::CpuDevice;
#[cfg(feature = "gpu")]
pub(crate) use gpu::{Faults, GpuDevice, GpuWish, list_gpus, may_have_gpu};
pub(crate) use training_ops::{AdamWState, CandidateState, Growth, Sm3State, TrainingOps};

use crate::error::Result;

/// A place to compute.
pub(crate) trait Device: BlockOps + TrainingOps {}

impl<D: BlockOps + TrainingOps> Device for D {}

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
    /// Runs work of the host's own, such as encoding, on the threads that were asked for.
    fn on_threads<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        work()
    }
    fn allocate(&self, bytes: usize) -> Result<Self::Buffer>;
    fn write(&self, buffer: &mut Self::Buffer, offset_bytes: usize, bytes: &[u8]);
    async fn read(
        &self,
        buffer: &Self::Buffer,
        offset_bytes: usize,
        bytes: usize,
    ) -> Result<Vec<u8>>;
    /// Copies the first `count` words of `from` to `to[at..]`.
    fn copy(&self, from: &Self::Buffer, count: usize, to: &mut Self::Buffer, at: usize);
    fn clear(&self, buffer: &mut Self::Buffer);
}
