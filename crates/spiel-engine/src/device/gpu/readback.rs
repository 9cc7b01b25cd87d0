//! Reading device memory: the only place that waits.

use super::GpuDevice;
use super::counters::count;
use crate::error::{EngineError, Result};

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
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read-back"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.record_read(buffer, start as u64, &staging, size);
        self.submit();
        count(&self.counters, |counters| {
            counters.read_backs += 1;
            counters.read_bytes += bytes as u64;
        });
        self.map(&staging).await?;
        let view = staging.slice(..).get_mapped_range();
        let first = offset - start;
        Ok(view[first..first + bytes].to_vec())
    }

    async fn map(&self, staging: &wgpu::Buffer) -> Result<()> {
        let failed =
            |what: String| EngineError::Internal(format!("Cannot read from the GPU: {what}"));
        let (sender, receiver) = futures_channel::oneshot::channel();
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
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
