//! The engine: takes requests, keeps one session and answers, whatever happens, with a reply.

use crate::device::{BlockOps, CpuDevice, Device, LinearShape, Memory};
use crate::error::{EngineError, Result, out_of_order};
use crate::protocol::{
    DeviceChoice, EngineInfo, FormatInfo, GradNorm, MemoryTable, ModelConfig, ModelOptions, Reply,
    Request, WeightFormat,
};
use crate::session::{self, Session};
use crate::training::ReselectionPlan;
use crate::weights;
use spiel_kernels::formats::Format;

/// A reply's header and payload.
pub type Answer = (Reply, Vec<u8>);

/// One engine, of any device.
#[derive(Default)]
pub struct Engine {
    state: State<CpuDevice>,
}

/// How far an engine has come.
#[derive(Default)]
enum State<D: Device> {
    #[default]
    New,
    Open(D),
    Ready(Box<Session<D>>),
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
        match request {
            Request::EngineOpen { device, threads } => self.open(device, threads),
            Request::Convert { from, to, elements } => {
                let (info, bytes) = weights::convert(from, to, elements, payload)?;
                Ok((Reply::ArrayInfo(info), bytes))
            }
            Request::ProductRun { tokens, inputs, outputs, repeats } => {
                let [tokens, inputs, outputs] = [tokens, inputs, outputs].map(|size| size as usize);
                self.product_run(LinearShape { tokens, inputs, outputs }, repeats).map(done)
            }
            Request::ModelCreate { config, options, dry_run } => {
                self.create(&config, options, dry_run)
            }
            Request::EngineStats {} => Ok(header(Reply::MemoryTable(match &self.state {
                State::Ready(session) => session.memory(),
                _ => MemoryTable::default(),
            }))),
            request => match &mut self.state {
                State::Ready(session) => session.dispatch(request, payload).await,
                State::Open(_) => Err(out_of_order!("No model has been created")),
                State::New => Err(out_of_order!("The engine has not been opened")),
            },
        }
    }

    fn open(&mut self, choice: DeviceChoice, threads: Option<u32>) -> Result<Answer> {
        if !matches!(self.state, State::New) {
            return Err(out_of_order!("The engine is open already"));
        }
        if choice == DeviceChoice::Gpu {
            return Err(EngineError::DeviceUnavailable(
                "This build computes on the CPU only".to_owned(),
            ));
        }
        let device = CpuDevice::open(threads)?;
        let info = EngineInfo {
            device: DeviceChoice::Cpu,
            adapter: device.adapter(),
            threads: device.threads() as u32,
            formats: format_table(),
        };
        self.state = State::Open(device);
        Ok(header(Reply::EngineInfo(info)))
    }

    fn product_run(&self, shape: LinearShape, repeats: u32) -> Result<()> {
        let device = self.device()?;
        let LinearShape { tokens, inputs, outputs } = shape;
        let x = device.allocate(tokens * inputs * 4)?;
        let weight = device.allocate(outputs * inputs * 4)?;
        let mut y = device.allocate(tokens * outputs * 4)?;
        for _ in 0..repeats {
            device.linear(&x, &weight, shape, &mut y);
        }
        Ok(())
    }

    fn device(&self) -> Result<&CpuDevice> {
        match &self.state {
            State::New => Err(out_of_order!("The engine has not been opened")),
            State::Open(device) => Ok(device),
            State::Ready(session) => Ok(&session.device),
        }
    }

    fn create(
        &mut self,
        config: &ModelConfig,
        options: ModelOptions,
        dry_run: bool,
    ) -> Result<Answer> {
        let device = self.device()?;
        let plan = session::plan(device, config, &options)?;
        if !dry_run {
            // The old model's memory is freed before the new one's is taken.
            let device = match std::mem::take(&mut self.state) {
                State::New => return Err(out_of_order!("The engine has not been opened")),
                State::Open(device) => device,
                State::Ready(session) => session.device,
            };
            match Session::new(device, config, options) {
                Ok(session) => self.state = State::Ready(Box::new(session)),
                Err((device, error)) => {
                    self.state = State::Open(device);
                    return Err(error);
                }
            }
        }
        Ok(header(Reply::ModelPlan(plan)))
    }
}

impl<D: Device> Session<D> {
    async fn dispatch(&mut self, request: Request, payload: &[u8]) -> Result<Answer> {
        match request {
            Request::TensorWrite { name, offset } => {
                self.tensor_write(&name, offset, payload).map(done)
            }
            Request::TensorInit { seed, std } => self.tensor_init(seed, std).map(done),
            Request::TensorRead { name, row, rows, format, merged } => {
                let range = row as usize..row as usize + rows as usize;
                let (info, bytes) = self.tensor_read(&name, range, format, merged).await?;
                Ok((Reply::ArrayInfo(info), bytes))
            }
            Request::DeltaAttach { module, count, seed } => {
                self.delta_attach(&module, count, seed, payload).map(done)
            }
            Request::StateRead { name, field } => {
                let (info, bytes) = self.state_read(&name, field).await?;
                Ok((Reply::ArrayInfo(info), bytes))
            }
            Request::StateWrite { name, field } => {
                self.state_write(&name, field, payload).map(done)
            }
            Request::CandidatesBegin {} => self.window(Some(0)),
            Request::CandidatesEnd {} => self.window(None),
            Request::CandidatesResume { samples } => self.window(Some(samples)),
            Request::DeltaReselect {
                criterion,
                rate,
                gradient_accumulation_steps,
                beta1,
                beta2,
            } => {
                let plan = ReselectionPlan {
                    criterion,
                    rate,
                    gradient_accumulation_steps,
                    betas: (beta1, beta2),
                };
                Ok(header(Reply::Reselection(self.reselect(&plan).await?)))
            }
            Request::Forward { batch, output } => {
                let (loss, bytes) = self.forward(batch, output, payload).await?;
                Ok((Reply::Loss(loss), bytes))
            }
            Request::ForwardBackward { batch, loss_scale } => {
                Ok(header(Reply::Loss(self.forward_backward(batch, loss_scale, payload).await?)))
            }
            Request::GradNorm {} => {
                let norm = Some(self.grad_norm().await?).filter(|norm| norm.is_finite());
                Ok(header(Reply::GradNorm(GradNorm { norm })))
            }
            Request::OptimizerStep { update } => {
                self.optimizer_step(&update);
                Ok(done(()))
            }
            Request::GradClear {} => {
                self.grad_clear();
                Ok(done(()))
            }
            Request::GenerateBegin { max_tokens } => self.generate_begin(max_tokens).map(done),
            Request::GenerateForward {} => {
                let (info, bytes) = self.generate_forward(payload).await?;
                Ok((Reply::ArrayInfo(info), bytes))
            }
            Request::GenerateEnd {} => {
                self.cache = None;
                Ok(done(()))
            }
            Request::EngineOpen { .. }
            | Request::EngineStats {}
            | Request::ModelCreate { .. }
            | Request::ProductRun { .. }
            | Request::Convert { .. } => {
                Err(EngineError::Internal("the engine answers this request itself".to_owned()))
            }
        }
    }

    fn window(&mut self, samples: Option<u32>) -> Result<Answer> {
        self.check_candidates()?;
        self.window_samples = samples;
        Ok(done(()))
    }
}

fn header(reply: Reply) -> Answer {
    (reply, Vec::new())
}

fn done((): ()) -> Answer {
    header(Reply::Done)
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
