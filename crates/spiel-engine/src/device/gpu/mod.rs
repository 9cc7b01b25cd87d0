//! A GPU through wgpu: operations are recorded, and submitted when something is read or the recording is long.

mod adapters;
mod attention;
mod block_ops;
mod budget;
mod context;
mod counters;
mod delta_gradients;
#[cfg(all(test, feature = "design"))]
mod design;
mod faults;
mod groups;
mod operation_bytes;
mod pace;
mod pipelines;
mod pool;
mod product;
mod profiler;
mod readback;
mod recorder;
mod reselect;
mod slices;
#[cfg(not(target_arch = "wasm32"))]
mod system;
mod training_ops;
mod upload;

pub(crate) use adapters::{list_gpus, sees_no_hardware};
pub(crate) use context::{GpuDevice, GpuWish};
pub(crate) use faults::Faults;

use super::{Memory, OperationSizes};
use crate::error::Result;
use crate::protocol::Profile;
use counters::count;
use groups::Freed;
use slices::Slice;
use spiel_kernels::ops::probe::{COPY_WORDS, FMA_SUMS, copy_probe_program, fma_probe_program};
use spiel_kernels::program::Program;
use std::sync::Arc;

/// Bytes that may stay staged until the next submission.
const STAGED_BYTES: usize = 1 << 20;

/// A storage buffer.
pub(crate) struct GpuBuffer {
    buffer: wgpu::Buffer,
    /// 32-bit elements; the buffer may be longer.
    elements: usize,
    /// Bytes written after the last whole word, until the rest of their word comes.
    tail: Vec<u8>,
    /// Absent when others free the buffer.
    _freed: Option<Freed>,
}

impl GpuBuffer {
    /// A part of a buffer that others free.
    fn unowned(buffer: wgpu::Buffer, elements: usize) -> Self {
        Self { buffer, elements, tail: Vec::new(), _freed: None }
    }

    fn len(&self) -> usize {
        self.elements
    }

    /// The same buffer, said to have fewer elements.
    #[cfg(any(test, feature = "conformance"))]
    pub(super) fn cut_to(self, elements: usize) -> Self {
        Self { elements, ..self }
    }
}

impl Memory for GpuDevice {
    type Buffer = GpuBuffer;

    fn adapter(&self) -> String {
        adapters::words(&self.info)
    }

    fn threads(&self) -> usize {
        1
    }

    fn largest_buffer(&self) -> u64 {
        // Operations cut what is longer than a binding, but for deltas.
        self.device.limits().max_buffer_size
    }

    fn addressable(&self) -> u64 {
        // The GPU's memory is its own; what it has shows when buffers are made.
        u64::MAX
    }

    fn most_deltas(&self) -> usize {
        // Temporaries have powers of two, and are bound whole.
        1 << (self.binding_bytes / 4).ilog2()
    }

    fn allocate(&self, bytes: usize) -> Result<GpuBuffer> {
        self.let_go();
        let elements = bytes.div_ceil(4);
        count(&self.counters, |counters| counters.buffers += 1);
        let buffer = self.storage(4 * elements.max(1) as u64);
        self.faults.check_allocation(bytes)?;
        let freed = (elements > 0).then(|| Freed(Arc::clone(&self.freed)));
        Ok(GpuBuffer { _freed: freed, ..GpuBuffer::unowned(buffer, elements) })
    }

    fn nothing(&self) -> GpuBuffer {
        GpuBuffer::unowned(self.nothing.clone(), 0)
    }

    fn operation_bytes(&self, sizes: &OperationSizes) -> u64 {
        self.bytes_of_operations(sizes)
    }

    fn write(&self, buffer: &mut GpuBuffer, offset_bytes: usize, bytes: &[u8]) {
        // What is recorded must not see the new bytes.
        self.submit();
        self.faults.during("write");
        let kept = offset_bytes % 4;
        let mut joined;
        let (start, mut bytes) = (offset_bytes - kept, bytes);
        if kept > 0 {
            joined = std::mem::take(&mut buffer.tail);
            joined.extend_from_slice(bytes);
            bytes = &joined;
        }
        let whole = bytes.len() / 4 * 4;
        self.queue.write_buffer(&buffer.buffer, start as u64, &bytes[..whole]);
        buffer.tail = bytes[whole..].to_vec();
        if !buffer.tail.is_empty() {
            let mut word = [0; 4];
            word[..buffer.tail.len()].copy_from_slice(&buffer.tail);
            self.queue.write_buffer(&buffer.buffer, (start + whole) as u64, &word);
        }
        count(&self.counters, |counters| counters.written_bytes += bytes.len() as u64);
        if bytes.len() > STAGED_BYTES {
            // Written bytes are staged until a submission frees them.
            self.queue.submit([]);
        }
    }

    async fn read(&self, buffer: &GpuBuffer, offset_bytes: usize, bytes: usize) -> Result<Vec<u8>> {
        self.read_back(&buffer.buffer, offset_bytes, bytes).await
    }

    fn copy(&self, from: &GpuBuffer, count: usize, to: &mut GpuBuffer, at: usize) {
        self.record_copy(&from.buffer, count, &to.buffer, at);
    }

    fn clear(&self, buffer: &mut GpuBuffer) {
        self.record_clear(&buffer.buffer, buffer.elements);
    }

    async fn keep_up(&self) -> Result<()> {
        self.follow().await
    }

    fn probe(&self, repeats: usize) -> Result<()> {
        let words = COPY_WORDS.min(self.binding_bytes / 4);
        let (from, to) = (self.allocate(words * 4)?, self.allocate(words * 4)?);
        let sums = self.allocate(FMA_SUMS * 4)?;
        for _ in 0..repeats {
            self.run(&fma_probe_program(), &[&sums]);
            self.run(&copy_probe_program(words), &[&from, &to]);
        }
        Ok(())
    }

    fn profile(&self, on: bool) {
        self.switch_profile(on);
    }

    async fn profiled(&self) -> Result<Profile> {
        self.take_profile().await
    }
}

impl GpuDevice {
    /// What has been asked of the device so far.
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) fn counters(&self) -> counters::Counters {
        self.counters.get()
    }

    /// Cuts products in this way from now on.
    #[cfg(any(test, feature = "conformance"))]
    pub(super) fn tile_by(&self, tiling: spiel_kernels::ops::linear::Tiling) {
        self.tiling.set(tiling);
    }

    /// Submits and dispatches so many floating-point operations at most from the next submission on.
    #[cfg(any(test, feature = "conformance"))]
    pub(super) fn limit_to(&self, flops: u64, dispatch_flops: u64) {
        self.submit();
        self.budget.set(budget::Budget {
            flops,
            dispatch_flops,
            attention_flops: dispatch_flops,
            ..self.budget.get()
        });
    }

    /// Dispatches what moves so many bytes at most from now on.
    #[cfg(any(test, feature = "conformance"))]
    pub(super) fn limit_bytes_to(&self, dispatch_bytes: u64) {
        self.budget.set(budget::Budget { dispatch_bytes, ..self.budget.get() });
    }

    /// Bytes held for the operations of calls.
    #[cfg(test)]
    pub(crate) fn pooled_bytes(&self) -> u64 {
        self.pool.borrow().held()
    }

    /// How many bind groups are kept, each with what it binds.
    #[cfg(test)]
    pub(crate) fn kept_groups(&self) -> usize {
        self.groups.borrow().len()
    }

    fn storage(&self, size: u64) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST;
        let descriptor =
            wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        self.device.create_buffer(&descriptor)
    }

    /// Records a program on whole buffers or parts of them.
    fn run<'a, B: Into<Slice<'a>> + Copy>(&self, program: &Program, buffers: &[B]) {
        let slices: Vec<Slice> = buffers.iter().map(|buffer| (*buffer).into()).collect();
        self.record(program, &slices);
    }
}

/// A queue that is dropped while its GPU computes waits for some seconds and panics then.
#[cfg(not(target_arch = "wasm32"))]
impl Drop for GpuDevice {
    fn drop(&mut self) {
        // A GPU that is lost answers at once, and there is nobody left to tell.
        let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
    }
}
