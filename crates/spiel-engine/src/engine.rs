//! The engine: takes requests, opens a device and answers, whatever happens, with a reply.

use crate::device::{CpuDevice, Device};
#[cfg(feature = "gpu")]
use crate::device::{Faults, GpuDevice, GpuWish, list_gpus as gpu_list, sees_no_hardware};
use crate::error::{EngineError, Result, out_of_order};
use crate::host::{call, threads};
#[cfg(not(feature = "gpu"))]
use crate::protocol::GpuList;
use crate::protocol::{DeviceChoice, EngineInfo, FormatInfo, Precision, Reply, Request};
use crate::stage::{Stage, header};
use spiel_kernels::element::Element;
use spiel_kernels::formats::Format;
use std::borrow::Cow;
#[cfg(feature = "gpu")]
use std::sync::Arc;

/// Why this build opens no GPU.
#[cfg(not(feature = "gpu"))]
const NO_GPU_BUILD: &str =
    "this build computes on the CPU only; `deno task build:gpu` makes one for GPUs";

/// A reply's header and payload.
pub type Answer = (Reply, Vec<u8>);

/// One engine, of any device.
#[derive(Default)]
pub struct Engine {
    device: AnyDevice,
}

/// The device that was opened.
#[derive(Default)]
enum AnyDevice {
    #[default]
    None,
    Cpu(Stage<CpuDevice>),
    #[cfg(feature = "gpu")]
    Gpu(Box<Stage<GpuDevice>>, Arc<Faults>),
}

impl Engine {
    /// An engine that waits for `engineOpen`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The threads of a CPU device. A request that begins on one of them enters them once, not at every operation.
    #[cfg(feature = "native")]
    pub(crate) fn pool(&self) -> threads::Pool {
        match &self.device {
            AnyDevice::Cpu(stage) => stage.device().ok().and_then(CpuDevice::pool),
            AnyDevice::None => None,
            #[cfg(feature = "gpu")]
            AnyDevice::Gpu(..) => None,
        }
    }

    /// Carries out the request in `header`; failures are replies too.
    pub async fn handle<'a>(&mut self, header: &[u8], payload: impl Into<Cow<'a, [u8]>>) -> Answer {
        let request = serde_json::from_slice(header).map_err(|error| {
            EngineError::InvalidRequest(format!("Cannot read the request: {error}"))
        });
        let answer = match request {
            Ok(request) => self.dispatch(request, payload.into()).await,
            Err(error) => Err(error),
        };
        answer.unwrap_or_else(|error| (Reply::Error(error.info()), Vec::new()))
    }

    async fn dispatch(&mut self, request: Request, payload: Cow<'_, [u8]>) -> Result<Answer> {
        match (request, &mut self.device) {
            (Request::EngineOpen { device, threads, gpu, allow_software }, AnyDevice::None) => {
                self.open(device, threads, gpu.as_deref(), allow_software).await
            }
            (Request::EngineOpen { .. }, _) => Err(out_of_order!("The engine is open already")),
            (Request::GpuList {}, _) => Ok(header(Reply::GpuList(gpu_list().await))),
            (_, AnyDevice::None) => Err(out_of_order!("The engine has not been opened")),
            (request, AnyDevice::Cpu(stage)) => call::carry_out(stage, request, payload).await,
            #[cfg(feature = "gpu")]
            (request, AnyDevice::Gpu(stage, faults)) => {
                let answer = stage.dispatch(request, &payload).await;
                // A fault of the device is the cause of whatever the request ended with.
                faults.check().and(answer)
            }
        }
    }

    async fn open(
        &mut self,
        choice: DeviceChoice,
        threads: Option<u32>,
        gpu: Option<&str>,
        allow_software: bool,
    ) -> Result<Answer> {
        // Naming a GPU is asking for it.
        let info = match (choice, gpu) {
            (DeviceChoice::Cpu, _) => self.open_cpu(threads, "asked for".to_owned()).await?,
            (DeviceChoice::Auto, None) => match self.open_hardware().await {
                Ok(info) => EngineInfo { device_reason: "the preferred GPU".to_owned(), ..info },
                Err(error) => self.open_cpu(threads, error.to_string()).await?,
            },
            (DeviceChoice::Auto | DeviceChoice::Gpu, gpu) => {
                self.open_gpu(gpu, allow_software).await?
            }
        };
        Ok(header(Reply::EngineInfo(info)))
    }

    async fn open_cpu(&mut self, threads: Option<u32>, reason: String) -> Result<EngineInfo> {
        let device = CpuDevice::new(threads::start(threads).await?);
        let info = describe(&device, DeviceChoice::Cpu, reason);
        self.device = AnyDevice::Cpu(Stage::Open(device));
        Ok(info)
    }

    async fn open_hardware(&mut self) -> Result<EngineInfo> {
        #[cfg(feature = "gpu")]
        if let Some(reason) = sees_no_hardware() {
            return Err(EngineError::DeviceUnavailable(reason));
        }
        self.open_gpu(None, false).await
    }

    #[cfg(feature = "gpu")]
    async fn open_gpu(&mut self, gpu: Option<&str>, allow_software: bool) -> Result<EngineInfo> {
        let device = GpuDevice::open(GpuWish { gpu, allow_software }).await?;
        let info = describe(&device, DeviceChoice::Gpu, "asked for".to_owned());
        let faults = device.faults();
        self.device = AnyDevice::Gpu(Box::new(Stage::Open(device)), faults);
        Ok(info)
    }

    #[cfg(not(feature = "gpu"))]
    #[allow(clippy::unused_async, clippy::unused_self, reason = "one signature for all builds")]
    async fn open_gpu(&mut self, _gpu: Option<&str>, _allow_software: bool) -> Result<EngineInfo> {
        Err(EngineError::DeviceUnavailable(NO_GPU_BUILD.to_owned()))
    }
}

#[cfg(not(feature = "gpu"))]
#[expect(clippy::unused_async, reason = "one signature for all builds")]
async fn gpu_list() -> GpuList {
    GpuList { problem: Some(NO_GPU_BUILD.to_owned()), ..GpuList::default() }
}

fn describe(device: &impl Device, kind: DeviceChoice, device_reason: String) -> EngineInfo {
    EngineInfo {
        device: kind,
        device_reason,
        adapter: device.adapter(),
        threads: device.threads() as u32,
        precisions: Element::ALL
            .into_iter()
            .filter(|element| device.keeps_weights_in(*element))
            .map(Precision::from)
            .collect(),
        formats: format_table(),
    }
}

fn format_table() -> Vec<FormatInfo> {
    let row = |format: &Format| FormatInfo {
        format: (*format).into(),
        block_elements: format.block_elements() as u32,
        block_bytes: format.block_bytes() as u32,
    };
    Format::ALL.iter().map(row).collect()
}
