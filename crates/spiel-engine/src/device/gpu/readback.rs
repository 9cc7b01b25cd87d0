//! Reading device memory: the only place that waits.

use super::GpuDevice;
use super::counters::count;
use crate::error::{EngineError, Result};

/// Bytes of the smallest and of the largest buffer that is kept for the next read-back.
const SMALLEST: u64 = 4 << 10;
const LARGEST_KEPT: u64 = 1 << 20;

/// Bytes of the buffer that is kept after reading `size` bytes at most.
pub(super) fn staging_bytes(size: u64) -> u64 {
    if size > LARGEST_KEPT { size } else { size.next_power_of_two().max(SMALLEST) }
}

impl GpuDevice {
    /// Submits what is recorded and reads `bytes` bytes once it is done.
    pub(super) async fn read_back(
        &self,
        buffer: &wgpu::Buffer,
        offset: usize,
        bytes: usize,
    ) -> Result<Vec<u8>> {
        if bytes == 0 {
            return Ok(Vec::new());
        }
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
        let read = mapped.get_mapped_range()[first..first + bytes].to_vec();
        staging.unmap();
        if staging.size() <= LARGEST_KEPT {
            *self.staging.borrow_mut() = Some(staging);
        }
        Ok(read)
    }

    /// The last read-back's buffer, or a new one of at least `size` bytes.
    fn staging_buffer(&self, size: u64) -> wgpu::Buffer {
        if let Some(kept) = self.staging.take().filter(|kept| size <= kept.size()) {
            return kept;
        }
        count(&self.counters, |counters| counters.buffers += 1);
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read-back"),
            size: staging_bytes(size),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    async fn map(&self, staging: wgpu::BufferSlice<'_>) -> Result<()> {
        let failed =
            |what: String| EngineError::Internal(format!("Cannot read from the GPU: {what}"));
        let (sender, receiver) = futures_channel::oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, move |result| {
            // The receiver lives until the result is taken.
            let _ = sender.send(result);
        });
        // In WebGPU the event loop drives the device.
        if cfg!(not(target_arch = "wasm32")) {
            let poll = wgpu::PollType::wait_indefinitely();
            self.device.poll(poll).map_err(|error| failed(error.to_string()))?;
        }
        let result = receiver.await.map_err(|error| failed(error.to_string()))?;
        result.map_err(|error| failed(error.to_string()))
    }
}
