//! Opening an adapter with what it offers beyond WebGPU's defaults.

use super::adapters::{self, Candidate};
use super::budget::Budget;
use super::counters::Counters;
use super::delta_gradients::ModuleSizes;
use super::faults::Faults;
use super::groups::Groups;
use super::pace::Pace;
use super::pipelines::Pipelines;
use super::pool::Pool;
use super::profiler::Profiler;
use super::recorder::Recorder;
use super::upload::Upload;
use crate::error::{EngineError, Result};
use spiel_kernels::ops::linear::Tiling;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Which GPU to open.
#[derive(Default)]
pub(crate) struct GpuWish<'a> {
    /// Its index, PCI id or a part of its name; the preferred one when absent.
    pub(crate) gpu: Option<&'a str>,
    /// Whether it may be a software adapter.
    pub(crate) allow_software: bool,
}

/// An open GPU.
pub(crate) struct GpuDevice {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) info: wgpu::AdapterInfo,
    pub(super) pipelines: RefCell<Pipelines>,
    pub(super) groups: RefCell<Groups>,
    /// Whether a buffer was freed that bind groups may still hold.
    pub(super) freed: Arc<AtomicBool>,
    pub(super) pool: RefCell<Pool>,
    /// What stands for every buffer of a plan.
    pub(super) nothing: wgpu::Buffer,
    /// What the last read-back was mapped from.
    pub(super) staging: RefCell<Option<wgpu::Buffer>>,
    pub(super) recorder: RefCell<Recorder>,
    pub(super) counters: Cell<Counters>,
    pub(super) pace: RefCell<Pace>,
    /// Absent unless what is done is being profiled.
    pub(super) profiler: RefCell<Option<Profiler>>,
    /// The last words uploaded of each kind, which often are the next ones too.
    pub(super) uploads: RefCell<[Option<Upload>; 2]>,
    /// Modules whose gradients are gathered from dense tiles.
    pub(super) dense_gradients: RefCell<HashSet<ModuleSizes>>,
    /// How much is submitted at once.
    pub(super) budget: Cell<Budget>,
    /// How products are cut.
    pub(super) tiling: Cell<Tiling>,
    /// Most bytes of a storage binding.
    pub(super) binding_bytes: usize,
    /// What the offset of a storage binding must be a multiple of: a power of two.
    pub(super) offset_alignment: usize,
    pub(super) faults: Arc<Faults>,
}

impl GpuDevice {
    /// Opens the GPU that is meant.
    ///
    /// # Errors
    /// When there is none, it does not open, or it is a software adapter and these are not allowed.
    pub(crate) async fn open(wish: GpuWish<'_>) -> Result<Self> {
        Self::open_within(wish, |limits| limits).await
    }

    /// As [`Self::open`], with limits that are made of what the adapter offers.
    pub(crate) async fn open_within(
        wish: GpuWish<'_>,
        limits: impl FnOnce(wgpu::Limits) -> wgpu::Limits,
    ) -> Result<Self> {
        let candidates = adapters::candidates().await;
        Self::on(adapters::choose(candidates, wish.gpu, wish.allow_software)?, limits).await
    }

    /// Opens an adapter, with limits that are made of what it offers.
    pub(super) async fn on(
        Candidate { adapter, info }: Candidate,
        limits: impl FnOnce(wgpu::Limits) -> wgpu::Limits,
    ) -> Result<Self> {
        let tiling = if info.software { Tiling::Registers } else { Tiling::Shared };
        let required_limits = limits(adapter.limits());
        let offset_alignment = required_limits.min_storage_buffer_offset_alignment as usize;
        // What 32 bits cannot hold is more than is bound.
        let binding_bytes =
            usize::try_from(required_limits.max_storage_buffer_binding_size).unwrap_or(usize::MAX);
        let useful = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SHADER_F16;
        let required_features = adapter.features() & useful;
        let descriptor =
            wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| {
            let name = info.name;
            EngineError::DeviceUnavailable(format!("GPU \"{name}\" does not open: {error}"))
        })?;
        let faults = Faults::of(&device);
        let recorder = RefCell::new(Recorder::new(&device));
        let nothing = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("nothing"),
            size: 4,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        Ok(Self {
            device,
            queue,
            info: adapter.get_info(),
            pipelines: RefCell::default(),
            groups: RefCell::default(),
            freed: Arc::default(),
            pool: RefCell::default(),
            nothing,
            staging: RefCell::default(),
            recorder,
            counters: Cell::default(),
            pace: RefCell::default(),
            profiler: RefCell::default(),
            uploads: RefCell::default(),
            dense_gradients: RefCell::default(),
            budget: Cell::new(Budget::of(adapter.get_info().device_type)),
            tiling: Cell::new(tiling),
            binding_bytes: binding_bytes / offset_alignment * offset_alignment,
            offset_alignment,
            faults,
        })
    }

    /// What has gone wrong on the device.
    pub(crate) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults)
    }
}
