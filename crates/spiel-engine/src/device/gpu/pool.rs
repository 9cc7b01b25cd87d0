//! Memory for the operations of one call, kept for those that follow: a step that ran before takes none from the driver.

use super::counters::count;
use super::{GpuBuffer, GpuDevice};
use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;

/// Bytes of the smallest buffer.
const SMALLEST: u64 = 256;

/// Buffers that no operation uses now, by their size.
#[derive(Default)]
pub(super) struct Pool {
    free: HashMap<u64, BTreeSet<wgpu::Buffer>>,
    /// Bytes of all buffers, used or not.
    held: u64,
}

impl Pool {
    /// Gives the buffers that no operation uses back to the driver.
    pub(super) fn clear(&mut self) {
        let free = self.free.drain();
        let bytes: u64 = free.map(|(size, buffers)| size * buffers.len() as u64).sum();
        self.held -= bytes;
    }

    /// Bytes of all buffers, used or not.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.held
    }
}

/// Bytes of the buffer that is taken for so many elements. There are few sizes, so that calls share buffers.
pub(super) fn pooled_bytes(elements: usize) -> u64 {
    (elements as u64 * 4).next_power_of_two().max(SMALLEST)
}

/// A buffer for the operations of one call, which holds whatever it held before.
///
/// Operations run in the order of their recording, so what is dropped may be taken at once by the next.
pub(super) struct Temporary<'a> {
    device: &'a GpuDevice,
    buffer: GpuBuffer,
}

impl Deref for Temporary<'_> {
    type Target = GpuBuffer;

    fn deref(&self) -> &GpuBuffer {
        &self.buffer
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        self.device.put_back(&self.buffer);
    }
}

impl GpuDevice {
    /// A buffer for the operations of one call.
    pub(super) fn temporary(&self, elements: usize) -> Temporary<'_> {
        Temporary { device: self, buffer: self.take(elements) }
    }

    /// The same, of zeros.
    pub(super) fn zeroed(&self, elements: usize) -> Temporary<'_> {
        let temporary = self.temporary(elements);
        self.record_clear(&temporary.buffer.buffer, elements);
        temporary
    }

    /// A buffer of the pool, which [`Self::put_back`] returns.
    pub(super) fn take(&self, elements: usize) -> GpuBuffer {
        let size = pooled_bytes(elements);
        let pool = &mut *self.pool.borrow_mut();
        // Always the first, so that steps that do the same take the same and bind groups fit again.
        let free = pool.free.get_mut(&size).and_then(BTreeSet::pop_first);
        let buffer = free.unwrap_or_else(|| {
            pool.held += size;
            count(&self.counters, |counters| counters.buffers += 1);
            self.storage(size)
        });
        GpuBuffer::unowned(buffer, elements)
    }

    /// Returns a buffer that was taken.
    pub(super) fn put_back(&self, buffer: &GpuBuffer) {
        let buffer = buffer.buffer.clone();
        self.pool.borrow_mut().free.entry(buffer.size()).or_default().insert(buffer);
    }
}
