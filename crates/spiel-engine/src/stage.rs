//! What a device holds: nothing yet, or a session; and the requests that both answer.

use crate::arena::{Arena, Purpose};
use crate::device::Device;
use crate::engine::Answer;
use crate::error::{EngineError, Result, invalid, out_of_order};
use crate::protocol::{MemoryTable, ModelConfig, ModelOptions, Reply, Request};
use crate::session::{self, Session};
use crate::training::ReselectionPlan;
use crate::weights;
use spiel_kernels::ops::linear::LinearShape;

/// An open device, with or without a model.
pub(crate) enum Stage<D: Device> {
    /// No model has been created.
    Open(D),
    /// A model has been created.
    Ready(Box<Session<D>>),
    /// Between two models.
    Moved,
}

impl<D: Device> Stage<D> {
    /// Carries out a request.
    pub(crate) async fn dispatch(&mut self, request: Request, payload: &[u8]) -> Result<Answer> {
        match request {
            Request::ProductRun { tokens, inputs, outputs, repeats } => {
                let [tokens, inputs, outputs] = [tokens, inputs, outputs].map(|size| size as usize);
                self.product_run(LinearShape { tokens, inputs, outputs }, repeats).await.map(done)
            }
            Request::ProbeRun { repeats } => self.device()?.probe(repeats as usize).map(done),
            Request::ModelCreate { config, options, dry_run } => {
                self.create(&config, options, dry_run)
            }
            Request::Convert { from, to, elements } => {
                let (info, bytes) = weights::convert(self.device()?, from, to, elements, payload)?;
                Ok((Reply::ArrayInfo(info), bytes))
            }
            Request::ProfileSwitch { on } => {
                self.device()?.profile(on);
                Ok(done(()))
            }
            Request::ProfileRead {} => Ok(header(Reply::Profile(self.device()?.profiled().await?))),
            Request::EngineStats {} => Ok(header(Reply::MemoryTable(match self {
                Self::Ready(session) => session.memory(),
                _ => MemoryTable::default(),
            }))),
            request => match self {
                Self::Ready(session) => session.dispatch(request, payload).await,
                _ => Err(out_of_order!("No model has been created")),
            },
        }
    }

    async fn product_run(&self, shape: LinearShape, repeats: u32) -> Result<()> {
        let device = self.device()?;
        let LinearShape { tokens, inputs, outputs } = shape;
        if tokens == 0 || inputs == 0 || outputs == 0 {
            return Err(invalid!("A product of {tokens} x {inputs} x {outputs} has nothing in it"));
        }
        let mut arena = Arena::new(device, false);
        let mut array = |rows, columns| arena.elements(Purpose::Workspace, [rows, columns]);
        let (x, weight, mut y) =
            (array(tokens, inputs)?, array(outputs, inputs)?, array(tokens, outputs)?);
        for _ in 0..repeats {
            device.linear(&x, &weight, shape, &mut y);
        }
        // Reading waits for the products.
        device.read(&y, 0, 4).await.map(|_| ())
    }

    /// The device, unless it was lost in a move.
    pub(crate) fn device(&self) -> Result<&D> {
        match self {
            Self::Open(device) => Ok(device),
            Self::Ready(session) => Ok(&session.device),
            Self::Moved => Err(EngineError::Internal("the device was lost in a move".to_owned())),
        }
    }

    fn create(
        &mut self,
        config: &ModelConfig,
        options: ModelOptions,
        dry_run: bool,
    ) -> Result<Answer> {
        let plan = session::plan(self.device()?, config, &options)?;
        if !dry_run {
            // The old model's memory is freed before the new one's is taken.
            let device = match std::mem::replace(self, Self::Moved) {
                Self::Open(device) => device,
                Self::Ready(session) => session.device,
                Self::Moved => return Err(EngineError::Internal("no device".to_owned())),
            };
            match Session::new(device, config, options) {
                Ok(session) => *self = Self::Ready(Box::new(session)),
                Err((device, error)) => {
                    *self = Self::Open(device);
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
            Request::TensorQuantizeScales { name } => {
                self.tensor_quantize_scales(&name).await.map(done)
            }
            Request::TensorInit { seed, std } => self.tensor_init(seed, std).map(done),
            Request::TensorRead { name, row, rows, format, merged } => {
                let range = row as usize..(row as usize).saturating_add(rows as usize);
                let (info, bytes) = self.tensor_read(&name, range, format, merged).await?;
                Ok((Reply::ArrayInfo(info), bytes))
            }
            Request::DeltaAttach { module, count, seed } => {
                self.delta_attach(&module, count, seed, payload).map(done)
            }
            Request::StateRead { name, field, offset, count } => {
                let (info, bytes) = self.state_read(&name, field, offset, count).await?;
                Ok((Reply::ArrayInfo(info), bytes))
            }
            Request::StateWrite { name, field, offset } => {
                self.state_write(&name, field, offset, payload).map(done)
            }
            Request::GradientsTry {} => {
                Ok(header(Reply::GradientTrials(self.try_gradients().await?)))
            }
            Request::CandidatesBegin {} => self.window(Some(0)),
            Request::CandidatesEnd {} => self.window(None),
            Request::CandidatesResume { samples } => {
                self.check_candidates()?;
                self.check_candidate_indices().await?;
                self.window(Some(samples))
            }
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
                self.forward_backward(batch, loss_scale, payload).await.map(done)
            }
            Request::OptimizerStep { update } => self.optimizer_step(&update).await.map(done),
            Request::UpdateRead {} => Ok(header(Reply::UpdateInfo(self.update_info().await?))),
            Request::GradClear {} => {
                self.start_anew();
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
            | Request::GpuList {}
            | Request::EngineStats {}
            | Request::ProfileSwitch { .. }
            | Request::ProfileRead {}
            | Request::ModelCreate { .. }
            | Request::ProductRun { .. }
            | Request::ProbeRun { .. }
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

/// A reply without a payload.
pub(crate) fn header(reply: Reply) -> Answer {
    (reply, Vec::new())
}

fn done((): ()) -> Answer {
    header(Reply::Done)
}
