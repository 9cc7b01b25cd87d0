//! Opening an adapter with what it offers beyond WebGPU's defaults.

use super::pipelines::Pipelines;
use super::recorder::Recorder;
use crate::error::{EngineError, Result};
use std::cell::RefCell;

/// An open GPU.
pub(crate) struct GpuDevice {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) info: wgpu::AdapterInfo,
    pub(super) pipelines: RefCell<Pipelines>,
    pub(super) recorder: RefCell<Recorder>,
}

impl GpuDevice {
    /// Opens the adapter that the system prefers.
    ///
    /// # Errors
    /// When there is none, or it is a software adapter and `allow_software` is not set.
    pub(crate) async fn open(allow_software: bool) -> Result<Self> {
        let unavailable = |what: String| EngineError::DeviceUnavailable(what);
        let instance = wgpu::Instance::default();
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance
            .request_adapter(&options)
            .await
            .map_err(|error| unavailable(format!("No GPU can be used: {error}")))?;
        let info = adapter.get_info();
        if info.device_type == wgpu::DeviceType::Cpu && !allow_software {
            return Err(unavailable(format!(
                "\"{}\" is a software adapter, slower than the CPU device",
                info.name
            )));
        }
        let descriptor =
            wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|error| unavailable(format!("Cannot open \"{}\": {error}", info.name)))?;
        let recorder = RefCell::new(Recorder::new(&device));
        Ok(Self { device, queue, info, pipelines: RefCell::default(), recorder })
    }
}
