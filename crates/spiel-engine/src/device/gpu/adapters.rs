//! Which GPUs there are, which one is meant, and why one cannot be used.

use crate::error::{EngineError, Result};
use crate::protocol::{GpuInfo, GpuLimits, GpuList};

/// Names under which a CPU plays a GPU, where the adapter does not say so itself (as over WebGPU).
const SOFTWARE_NAMES: [&str; 5] =
    ["llvmpipe", "lavapipe", "swiftshader", "warp", "microsoft basic render"];

/// How a software adapter is had, for those who want it.
pub(super) const TAKES_SOFTWARE: &str =
    "far slower than the CPU device; --device gpu --allow-software takes it all the same";

/// The features worth naming.
const FEATURES: [(&str, wgpu::Features); 4] = [
    ("shader-f16", wgpu::Features::SHADER_F16),
    ("timestamp-query", wgpu::Features::TIMESTAMP_QUERY),
    ("subgroups", wgpu::Features::SUBGROUP),
    ("cooperative-matrix", wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
];

/// An adapter and how it is described.
pub(super) struct Candidate {
    pub(super) adapter: wgpu::Adapter,
    pub(super) info: GpuInfo,
}

impl Candidate {
    pub(super) fn of(index: usize, adapter: wgpu::Adapter) -> Self {
        let info = describe(index, &adapter);
        Self { adapter, info }
    }
}

/// Lists the GPUs of this machine.
pub(crate) async fn list_gpus() -> GpuList {
    let gpus: Vec<GpuInfo> =
        candidates().await.into_iter().map(|candidate| candidate.info).collect();
    let found = gpus.iter().any(|gpu| !gpu.software && gpu.problem.is_none());
    let problem = (!found).then(|| why_none(&gpus));
    GpuList { supported: true, gpus, problem }
}

/// Why it is not worth looking for a hardware GPU; `None` where it is.
pub(crate) fn sees_no_hardware() -> Option<String> {
    #[cfg(not(target_arch = "wasm32"))]
    return super::system::sees_no_hardware();
    #[cfg(target_arch = "wasm32")]
    None
}

/// Every adapter, in the order of preference.
pub(super) async fn candidates() -> Vec<Candidate> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let mut adapters = adapters_of(&instance).await;
    // The sort is stable: equals stay in the system's order.
    adapters.sort_by_key(|adapter| preference(&adapter.get_info()));
    adapters.into_iter().enumerate().map(|(index, adapter)| Candidate::of(index, adapter)).collect()
}

#[cfg(not(target_arch = "wasm32"))]
async fn adapters_of(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    instance.enumerate_adapters(wgpu::Backends::all()).await
}

/// WebGPU shows one adapter: the system picks.
#[cfg(target_arch = "wasm32")]
async fn adapters_of(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    };
    instance.request_adapter(&options).await.into_iter().collect()
}

/// The GPU that is meant, or the preferred one of hardware.
///
/// # Errors
/// When there is none, or only software and `allow_software` is not set.
pub(super) fn choose(
    mut candidates: Vec<Candidate>,
    wish: Option<&str>,
    allow_software: bool,
) -> Result<Candidate> {
    let infos: Vec<GpuInfo> = candidates.iter().map(|candidate| candidate.info.clone()).collect();
    let index = choose_index(&infos, wish, allow_software)?;
    Ok(candidates.swap_remove(index))
}

/// Digits of the shortest number that is looked for in names, such as the 770 of an Arc A770.
const SHORTEST_MODEL_NUMBER: usize = 3;

fn choose_index(gpus: &[GpuInfo], wish: Option<&str>, allow_software: bool) -> Result<usize> {
    let unavailable = |what: String| Err(EngineError::DeviceUnavailable(what));
    let meant = wish.map_or_else(|| gpus.iter().collect(), |wish| meant_by(gpus, wish));
    if let (Some(wish), true) = (wish, meant.is_empty() && !gpus.is_empty()) {
        let known: Vec<String> = gpus.iter().map(name).collect();
        return unavailable(format!(
            "No GPU matches --gpu \"{wish}\", expected the index, PCI id or a part of the name of one of these: {}",
            known.join(", ")
        ));
    }
    let usable = |gpu: &&&GpuInfo| gpu.problem.is_none() && (allow_software || !gpu.software);
    if let Some(gpu) = meant.iter().find(usable) {
        return Ok(gpu.index as usize);
    }
    let Some(first) = meant.first() else { return unavailable(why_none(gpus)) };
    if wish.is_none() && !first.software {
        return unavailable(why_none(gpus));
    }
    unavailable(match &first.problem {
        Some(problem) => format!("\"{}\" cannot be used: {problem}", first.name),
        None => software_refusal(&first.name),
    })
}

fn software_refusal(name: &str) -> String {
    format!(
        "\"{name}\" is a software adapter, {TAKES_SOFTWARE} \
         (allowSoftware in the library)"
    )
}

/// A GPU for a list: `0: NVIDIA H100 (0000:01:00.0)`.
fn name(gpu: &GpuInfo) -> String {
    let place = gpu.pci_id.as_ref().map_or(String::new(), |id| format!(" ({id})"));
    format!("{}: {}{place}", gpu.index, gpu.name)
}

/// The GPUs whose index, PCI id or part of the name `wish` is. A number is an index, but that of a model may be long
/// enough to be known as a name.
fn meant_by<'a>(gpus: &'a [GpuInfo], wish: &str) -> Vec<&'a GpuInfo> {
    let wish = wish.trim().to_lowercase();
    let index = wish.parse::<usize>().ok();
    if let Some(gpu) = index.and_then(|index| gpus.get(index)) {
        return vec![gpu];
    }
    let is_name = index.is_none() || wish.len() >= SHORTEST_MODEL_NUMBER;
    let is_at = |gpu: &GpuInfo| match (pci_place(&wish), gpu.pci_id.as_deref().and_then(pci_place))
    {
        (Some(wish), Some(place)) => wish == place,
        _ => false,
    };
    let is_called = |gpu: &GpuInfo| is_name && gpu.name.to_lowercase().contains(&wish);
    gpus.iter().filter(|gpu| is_at(gpu) || is_called(gpu)).collect()
}

/// Domain, bus, device and function of a PCI id such as `0000:01:00.0`; the domain may be left out.
fn pci_place(id: &str) -> Option<[u32; 4]> {
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    let mut parts = id.rsplit(':');
    let (device, function) = parts.next()?.split_once('.')?;
    let bus = parts.next()?;
    let domain = parts.next().unwrap_or("0");
    Some([hex(domain)?, hex(bus)?, hex(device)?, hex(function)?])
}

/// Why there is no hardware GPU to compute on, and what to do about it.
fn why_none(gpus: &[GpuInfo]) -> String {
    if let Some(gpu) = gpus.iter().find(|gpu| !gpu.software) {
        let problem = gpu.problem.as_deref().unwrap_or("it is not the one asked for");
        return format!("\"{}\" cannot be used: {problem}", gpu.name);
    }
    let found = gpus.first().map_or_else(
        || "there is no GPU".to_owned(),
        |gpu| format!("there is only the software adapter \"{}\" ({TAKES_SOFTWARE})", gpu.name),
    );
    format!("{found}: {}", remedy())
}

#[cfg(not(target_arch = "wasm32"))]
fn remedy() -> String {
    super::system::remedy()
}

#[cfg(target_arch = "wasm32")]
fn remedy() -> String {
    "WebGPU offers no other; the native engine's list of GPUs says what is missing".to_owned()
}

/// Lower is better: discrete GPUs first, software last.
fn preference(info: &wgpu::AdapterInfo) -> u8 {
    match info.device_type {
        _ if is_software(info) => 4,
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other | wgpu::DeviceType::Cpu => 3,
    }
}

fn is_software(info: &wgpu::AdapterInfo) -> bool {
    let name = info.name.to_lowercase();
    info.device_type == wgpu::DeviceType::Cpu
        || SOFTWARE_NAMES.iter().any(|known| name.contains(known))
}

/// An adapter in words: `NVIDIA H100 (vulkan, NVIDIA 550.54.15)`.
pub(super) fn words(info: &wgpu::AdapterInfo) -> String {
    let driver = driver(info);
    let separator = if driver.is_empty() { "" } else { ", " };
    format!("{} ({}{separator}{driver})", adapter_name(info), backend(info))
}

fn adapter_name(info: &wgpu::AdapterInfo) -> &str {
    if info.name.is_empty() { "unnamed GPU" } else { &info.name }
}

fn driver(info: &wgpu::AdapterInfo) -> String {
    format!("{} {}", info.driver, info.driver_info).trim().to_owned()
}

fn backend(info: &wgpu::AdapterInfo) -> &'static str {
    match info.backend {
        wgpu::Backend::BrowserWebGpu => "webgpu",
        other => other.to_str(),
    }
}

fn describe(index: usize, adapter: &wgpu::Adapter) -> GpuInfo {
    let (info, limits, offered) = (adapter.get_info(), adapter.limits(), adapter.features());
    let software = is_software(&info);
    let kind = match info.device_type {
        _ if software => "software",
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Other | wgpu::DeviceType::Cpu => "unknown",
    };
    let features = FEATURES.iter().filter(|(_, feature)| offered.contains(*feature));
    GpuInfo {
        index: index as u32,
        name: adapter_name(&info).to_owned(),
        backend: backend(&info).to_owned(),
        kind: kind.to_owned(),
        driver: driver(&info),
        pci_id: Some(info.device_pci_bus_id).filter(|id| !id.is_empty()),
        software,
        features: features.map(|(name, _)| (*name).to_owned()).collect(),
        problem: problem(&limits),
        limits: GpuLimits {
            max_buffer_size: limits.max_buffer_size,
            max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
            max_storage_buffers_per_shader_stage: limits.max_storage_buffers_per_shader_stage,
            max_compute_workgroup_storage_size: limits.max_compute_workgroup_storage_size,
            max_compute_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
        },
    }
}

/// The first limit that the kernels need and the adapter does not reach: they are written for WebGPU's defaults.
fn problem(offered: &wgpu::Limits) -> Option<String> {
    let web = wgpu::Limits::defaults();
    let needed = wgpu::Limits {
        max_bind_groups: 1,
        max_buffer_size: web.max_buffer_size,
        max_storage_buffer_binding_size: web.max_storage_buffer_binding_size,
        max_storage_buffers_per_shader_stage: web.max_storage_buffers_per_shader_stage,
        max_compute_workgroup_storage_size: web.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: web.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: web.max_compute_workgroup_size_x,
        max_compute_workgroups_per_dimension: web.max_compute_workgroups_per_dimension,
        ..wgpu::Limits::downlevel_webgl2_defaults()
    };
    let mut first = None;
    needed.check_limits_with_fail_fn(offered, true, |name, needed, offered| {
        first.get_or_insert_with(|| format!("{name} is {offered}, expected at least {needed}"));
    });
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(index: u32, name: &str, pci_id: Option<&str>, software: bool) -> GpuInfo {
        GpuInfo {
            index,
            name: name.to_owned(),
            backend: "vulkan".to_owned(),
            kind: "discrete".to_owned(),
            driver: String::new(),
            pci_id: pci_id.map(str::to_owned),
            software,
            limits: GpuLimits {
                max_buffer_size: 1 << 30,
                max_storage_buffer_binding_size: 1 << 27,
                max_storage_buffers_per_shader_stage: 8,
                max_compute_workgroup_storage_size: 16_384,
                max_compute_invocations_per_workgroup: 256,
            },
            features: Vec::new(),
            problem: None,
        }
    }

    fn machine() -> Vec<GpuInfo> {
        vec![
            gpu(0, "NVIDIA H100 80GB HBM3", Some("0000:01:00.0"), false),
            gpu(1, "NVIDIA H100 80GB HBM3", Some("0000:C1:00.0"), false),
            gpu(2, "llvmpipe (LLVM 15.0.6)", None, true),
        ]
    }

    fn chosen(wish: &str) -> Option<usize> {
        choose_index(&machine(), Some(wish), false).ok()
    }

    fn refusal(gpus: &[GpuInfo], wish: Option<&str>) -> String {
        choose_index(gpus, wish, false).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn a_gpu_is_meant_by_index_place_or_name() {
        assert_eq!(choose_index(&machine(), None, false).ok(), Some(0));
        assert_eq!(chosen("1"), Some(1));
        assert_eq!(chosen("0000:c1:00.0"), Some(1));
        assert_eq!(chosen("00000000:C1:00.0"), Some(1));
        assert_eq!(chosen("c1:00.0"), Some(1));
        assert_eq!(chosen("0001:c1:00.0"), None);
        assert_eq!(chosen("h100"), Some(0));
        assert_eq!(chosen("100"), Some(0));
        assert_eq!(chosen("10"), None);
    }

    #[test]
    fn a_software_adapter_is_taken_only_when_allowed() {
        let software = vec![gpu(0, "llvmpipe", None, true)];
        assert!(refusal(&machine(), Some("llvmpipe")).contains("is a software adapter"));
        assert!(refusal(&software, None).contains("\"llvmpipe\" is a software adapter"));
        assert_eq!(choose_index(&software, None, true).ok(), Some(0));
        assert_eq!(choose_index(&machine(), None, true).ok(), Some(0));
        assert_eq!(choose_index(&machine(), Some("llvmpipe"), true).ok(), Some(2));
    }

    #[test]
    fn a_wish_that_nothing_matches_names_what_there_is() {
        let text = refusal(&machine(), Some("radeon"));
        let expected = "No GPU matches --gpu \"radeon\", expected the index, PCI id or a part of the name of \
                        one of these: 0: NVIDIA H100 80GB HBM3 (0000:01:00.0), \
                        1: NVIDIA H100 80GB HBM3 (0000:C1:00.0), 2: llvmpipe (LLVM 15.0.6)";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_gpu_with_a_problem_is_passed_over_and_says_why() {
        let mut gpus = machine();
        gpus[0].problem = Some("max_bind_groups is 0, expected at least 1".to_owned());
        assert_eq!(choose_index(&gpus, None, false).ok(), Some(1));
        let text = refusal(&gpus, Some("0"));
        assert!(text.contains("cannot be used: max_bind_groups is 0"), "{text}");
    }

    #[test]
    fn limits_below_webgpu_s_defaults_are_a_problem() {
        let web = wgpu::Limits::defaults();
        assert_eq!(problem(&web), None);
        let small = wgpu::Limits { max_compute_workgroup_storage_size: 8192, ..web };
        let text = problem(&small).unwrap_or_default();
        let expected = "max_compute_workgroup_storage_size is 8192, expected at least 16384";
        assert_eq!(text, expected);
    }
}
