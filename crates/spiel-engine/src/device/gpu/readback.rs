//! Reading device memory: the only place that waits.

use super::GpuDevice;
use super::counters::count;
use crate::arena::with_room;
use crate::error::Result;

/// Bytes of the smallest and of the largest buffer that is kept for the next read-back.
const SMALLEST: u64 = 4 << 10;
const LARGEST_KEPT: u64 = 1 << 20;
/// Bytes that are read at once, so that what is read takes no more memory for it. A part that begins within a word takes
/// two words more.
const PART: usize = (16 << 20) - 8;

/// Bytes of the buffer through which `size` bytes are read at once.
fn staging_bytes(size: u64) -> u64 {
    if size > LARGEST_KEPT { size } else { size.next_power_of_two().max(SMALLEST) }
}

/// Most bytes that reading arrays of up to `largest` bytes holds.
pub(super) fn most_staging_bytes(largest: u64) -> u64 {
    staging_bytes(largest.min(PART as u64 + 8))
}

impl GpuDevice {
    /// Submits what is recorded and reads `bytes` bytes once it is done.
    ///
    /// # Errors
    /// When there is no memory for them, or the GPU fails.
    pub(super) async fn read_back(
        &self,
        buffer: &wgpu::Buffer,
        offset: usize,
        bytes: usize,
    ) -> Result<Vec<u8>> {
        let mut read = with_room(bytes)?;
        for first in (0..bytes).step_by(PART) {
            self.read_part(buffer, offset + first, PART.min(bytes - first), &mut read).await?;
        }
        self.staging.borrow_mut().take_if(|staging| staging.size() > LARGEST_KEPT);
        Ok(read)
    }

    /// Adds `bytes` bytes of device memory to what was read.
    async fn read_part(
        &self,
        buffer: &wgpu::Buffer,
        offset: usize,
        bytes: usize,
        read: &mut Vec<u8>,
    ) -> Result<()> {
        self.faults.during("read-back");
        // Copies move whole words.
        let start = offset / 4 * 4;
        let end = (offset + bytes).next_multiple_of(4);
        let size = (end - start) as u64;
        let staging = self.staging_buffer(size);
        self.record_read(buffer, start as u64, &staging, size);
        self.submit();
        count(&self.counters, |counters| {
            counters.read_backs += 1;
            counters.read_bytes += bytes as u64;
        });
        let mapped = staging.slice(..size);
        self.map(mapped).await?;
        let first = offset - start;
        read.extend_from_slice(&mapped.get_mapped_range()[first..first + bytes]);
        staging.unmap();
        *self.staging.borrow_mut() = Some(staging);
        Ok(())
    }

    /// The last read-back's buffer, or a new one of at least `size` bytes.
    fn staging_buffer(&self, size: u64) -> wgpu::Buffer {
        if let Some(kept) = self.staging.take().filter(|kept| size <= kept.size()) {
            return kept;
        }
        let size = staging_bytes(size);
        count(&self.counters, |counters| {
            counters.buffers += 1;
            counters.largest_staging = counters.largest_staging.max(size);
        });
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read-back"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    async fn map(&self, staging: wgpu::BufferSlice<'_>) -> Result<()> {
        let (sender, receiver) = futures_channel::oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, move |result| {
            // The receiver lives until the result is taken.
            let _ = sender.send(result);
        });
        // In WebGPU the event loop drives the device.
        if cfg!(not(target_arch = "wasm32")) {
            let poll = wgpu::PollType::wait_indefinitely();
            self.device.poll(poll).map_err(|error| self.faults.failure(error))?;
        }
        let result = receiver.await.map_err(|error| self.faults.failure(error))?;
        result.map_err(|error| self.faults.failure(error))
    }
}
