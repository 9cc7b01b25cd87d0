//! GPUs as `gpuList` describes them.

use serde::Serialize;

/// The GPUs of this machine, the one that `auto` prefers first.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
pub struct GpuList {
    /// Whether this build can compute on a GPU at all.
    pub supported: bool,
    /// Every adapter that the system offers, software adapters last.
    pub gpus: Vec<GpuInfo>,
    /// Why there is no hardware GPU to compute on and what to do about it; absent when there is one.
    pub problem: Option<String>,
}

/// One adapter: a GPU behind one driver.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct GpuInfo {
    /// Its place in the list, by which it can be chosen.
    pub index: u32,
    /// The maker's name for it.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `webgpu`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `unknown`.
    pub kind: String,
    /// The driver and its version, in words; empty where not known.
    pub driver: String,
    /// Its place on the bus, such as `0000:01:00.0`, where known.
    pub pci_id: Option<String>,
    /// Whether a CPU plays the GPU, far slower than the CPU device.
    pub software: bool,
    /// What it allows.
    pub limits: GpuLimits,
    /// What it offers beyond WebGPU's minimum: `shader-f16`, `timestamp-query`, `subgroups`, `cooperative-matrix`.
    pub features: Vec<String>,
    /// Why it cannot be used; absent when it can.
    pub problem: Option<String>,
}

/// The limits of an adapter that decide what fits.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct GpuLimits {
    /// Bytes of the largest buffer.
    pub max_buffer_size: u64,
    /// Bytes of a buffer that a kernel sees at once.
    pub max_storage_buffer_binding_size: u64,
    /// Buffers that a kernel sees.
    pub max_storage_buffers_per_shader_stage: u32,
    /// Bytes that a workgroup shares.
    pub max_compute_workgroup_storage_size: u32,
    /// Invocations of a workgroup.
    pub max_compute_invocations_per_workgroup: u32,
}
