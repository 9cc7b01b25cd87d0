//! The engine: takes requests, opens a device and answers, whatever happens, with a reply.

#[cfg(feature = "gpu")]
use crate::device::GpuDevice;
use crate::device::{CpuDevice, Device};
use crate::error::{EngineError, Result, out_of_order};
use crate::protocol::{DeviceChoice, EngineInfo, FormatInfo, Reply, Request, WeightFormat};
use crate::stage::{Stage, header};
use crate::weights;
use spiel_kernels::formats::Format;

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
    Gpu(Box<Stage<GpuDevice>>),
}

impl Engine {
    /// An engine that waits for `engineOpen`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries out the request in `header`; failures are replies too.
    pub async fn handle(&mut self, header: &[u8], payload: &[u8]) -> Answer {
        let request = serde_json::from_slice(header).map_err(|error| {
            EngineError::InvalidRequest(format!("Cannot read the request: {error}"))
        });
        let answer = match request {
            Ok(request) => self.dispatch(request, payload).await,
            Err(error) => Err(error),
        };
        answer.unwrap_or_else(|error| (Reply::Error(error.info()), Vec::new()))
    }

    async fn dispatch(&mut self, request: Request, payload: &[u8]) -> Result<Answer> {
        match (request, &mut self.device) {
            (Request::EngineOpen { device, threads }, AnyDevice::None) => {
                self.open(device, threads).await
            }
            (Request::EngineOpen { .. }, _) => Err(out_of_order!("The engine is open already")),
            (Request::Convert { from, to, elements }, _) => {
                let (info, bytes) = weights::convert(from, to, elements, payload)?;
                Ok((Reply::ArrayInfo(info), bytes))
            }
            (_, AnyDevice::None) => Err(out_of_order!("The engine has not been opened")),
            (request, AnyDevice::Cpu(stage)) => stage.dispatch(request, payload).await,
            #[cfg(feature = "gpu")]
            (request, AnyDevice::Gpu(stage)) => stage.dispatch(request, payload).await,
        }
    }

    async fn open(&mut self, choice: DeviceChoice, threads: Option<u32>) -> Result<Answer> {
        let info = match choice {
            DeviceChoice::Auto | DeviceChoice::Cpu => {
                let device = CpuDevice::open(threads)?;
                let info = describe(&device, DeviceChoice::Cpu);
                self.device = AnyDevice::Cpu(Stage::Open(device));
                info
            }
            #[cfg(feature = "gpu")]
            DeviceChoice::Gpu => {
                let device = GpuDevice::open(true).await?;
                let info = describe(&device, DeviceChoice::Gpu);
                self.device = AnyDevice::Gpu(Box::new(Stage::Open(device)));
                info
            }
            #[cfg(not(feature = "gpu"))]
            DeviceChoice::Gpu => {
                let reason = "This build computes on the CPU only".to_owned();
                return Err(EngineError::DeviceUnavailable(reason));
            }
        };
        Ok(header(Reply::EngineInfo(info)))
    }
}

fn describe(device: &impl Device, kind: DeviceChoice) -> EngineInfo {
    EngineInfo {
        device: kind,
        adapter: device.adapter(),
        threads: device.threads() as u32,
        formats: format_table(),
    }
}

fn format_table() -> Vec<FormatInfo> {
    use WeightFormat::{Bf16, F16, F32, Q4_0, Q4_1, Q8_0};
    let row = |format: WeightFormat| FormatInfo {
        format,
        block_elements: Format::from(format).block_elements() as u32,
        block_bytes: Format::from(format).block_bytes() as u32,
    };
    [F32, F16, Bf16, Q4_0, Q4_1, Q8_0].map(row).to_vec()
}
