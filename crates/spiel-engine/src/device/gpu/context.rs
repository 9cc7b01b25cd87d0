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
    /// Most bytes of a storage binding.
    pub(super) binding_bytes: usize,
    /// What the offset of a storage binding must be a multiple of: a power of two.
    pub(super) offset_alignment: usize,
}

impl GpuDevice {
    /// Opens the adapter that the system prefers.
    ///
    /// # Errors
    /// When there is none, or it is a software adapter and `allow_software` is not set.
    pub(crate) async fn open(allow_software: bool) -> Result<Self> {
        Self::open_within(allow_software, |limits| limits).await
    }

    /// As [`Self::open`], with limits that are made of what the adapter offers.
    pub(crate) async fn open_within(
        allow_software: bool,
        limits: impl FnOnce(wgpu::Limits) -> wgpu::Limits,
    ) -> Result<Self> {
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
        let required_limits = limits(adapter.limits());
        let offset_alignment = required_limits.min_storage_buffer_offset_alignment as usize;
        let binding_bytes = required_limits.max_storage_buffer_binding_size as usize;
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|error| unavailable(format!("Cannot open \"{}\": {error}", info.name)))?;
        let recorder = RefCell::new(Recorder::new(&device));
        Ok(Self {
            device,
            queue,
            info,
            pipelines: RefCell::default(),
            recorder,
            binding_bytes: binding_bytes / offset_alignment * offset_alignment,
            offset_alignment,
        })
    }
}
