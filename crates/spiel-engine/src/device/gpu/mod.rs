//! A GPU through wgpu: operations are recorded, and submitted when something is read or the recording is long.

mod adapters;
mod block_ops;
mod context;
mod counters;
mod faults;
mod pipelines;
mod product;
mod readback;
mod recorder;
mod reselect;
mod slices;
#[cfg(not(target_arch = "wasm32"))]
mod system;
mod training_ops;
mod upload;

pub(crate) use adapters::{list_gpus, may_have_gpu};
pub(crate) use context::{GpuDevice, GpuWish};
pub(crate) use faults::Faults;

use super::Memory;
use crate::error::Result;
use counters::count;
use slices::Slice;
use spiel_kernels::program::Program;

/// Bytes that may stay staged until the next submission.
const STAGED_BYTES: usize = 1 << 20;

/// A storage buffer.
pub(crate) struct GpuBuffer {
    buffer: wgpu::Buffer,
    /// 32-bit elements; the buffer may be longer.
    elements: usize,
    /// Bytes written after the last whole word, until the rest of their word comes.
    tail: Vec<u8>,
}

impl GpuBuffer {
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
        // Operations cut what is longer than a binding.
        self.device.limits().max_buffer_size
    }

    fn allocate(&self, bytes: usize) -> Result<GpuBuffer> {
        let buffer = self.buffer(bytes.div_ceil(4));
        self.faults.check_allocation(bytes)?;
        Ok(buffer)
    }

    fn write(&self, buffer: &mut GpuBuffer, offset_bytes: usize, bytes: &[u8]) {
        // What is recorded must not see the new bytes.
        self.submit();
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
}

impl GpuDevice {
    /// What has been asked of the device so far.
    #[cfg(test)]
    pub(crate) fn counters(&self) -> counters::Counters {
        self.counters.get()
    }

    /// Cuts products in this way from now on.
    #[cfg(any(test, feature = "conformance"))]
    pub(super) fn tile_by(&self, tiling: spiel_kernels::ops::linear::Tiling) {
        self.tiling.set(tiling);
    }

    /// A buffer of zeros for the operations of one call.
    fn temporary(&self, elements: usize) -> GpuBuffer {
        self.buffer(elements)
    }

    fn buffer(&self, elements: usize) -> GpuBuffer {
        let size = 4 * elements.max(1) as u64;
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST;
        let descriptor =
            wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        GpuBuffer { buffer: self.device.create_buffer(&descriptor), elements, tail: Vec::new() }
    }

    /// Records a program on whole buffers or parts of them.
    fn run<'a, B: Into<Slice<'a>> + Copy>(&self, program: &Program, buffers: &[B]) {
        let slices: Vec<Slice> = buffers.iter().map(|buffer| (*buffer).into()).collect();
        self.record(program, &slices);
    }
}
