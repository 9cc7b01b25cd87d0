//! Requests that change what is trained: attaching deltas, their state, windows, reselection, optimiser steps.

use crate::delta::{Delta, DeltaState};
use crate::device::{Device, Growth};
use crate::error::{EngineError, Result, invalid, out_of_order};
use crate::protocol::{
    ArrayInfo, ArrayType, GrowthCriterion, ModuleReselection, OptimizerUpdate, Reselection,
    StateField,
};
use crate::session::Session;
use spiel_kernels::ops::adamw::{AdamW, Seed};
use spiel_kernels::ops::sm3::Sm3;

/// The numbers of a reselection.
pub(crate) struct ReselectionPlan {
    pub(crate) criterion: GrowthCriterion,
    pub(crate) rate: f64,
    pub(crate) gradient_accumulation_steps: u32,
    pub(crate) betas: (f64, f64),
}

impl<D: Device> Session<D> {
    /// Gives a module its deltas.
    pub(crate) fn delta_attach(
        &mut self,
        module: &str,
        count: u32,
        seed: u32,
        payload: &[u8],
    ) -> Result<()> {
        let Self { device, model, .. } = self;
        let linear = model.linears_mut().find(|linear| linear.module == module);
        let linear =
            linear.ok_or_else(|| invalid!("The model has no linear layer \"{module}\""))?;
        let delta = linear.delta.as_mut();
        let delta = delta
            .ok_or_else(|| invalid!("The model was created without deltas for \"{module}\""))?;
        if delta.count != count as usize || !payload.len().is_multiple_of(4) {
            return Err(invalid!(
                "Cannot attach {count} deltas to \"{module}\": it has {} slots",
                delta.count
            ));
        }
        let indices: Vec<u32> = bytemuck::pod_collect_to_vec(payload);
        delta.attach(device, &mut linear.weight, &indices, seed)
    }

    /// Reads one array of training state.
    pub(crate) async fn state_read(
        &self,
        name: &str,
        field: StateField,
    ) -> Result<(ArrayInfo, Vec<u8>)> {
        let Self { device, model, .. } = self;
        let found = model.linears().find(|linear| linear.module == name);
        let (buffer, elements) = if let Some(linear) = found {
            let delta = linear.delta.as_ref().filter(|delta| delta.attached);
            let delta =
                delta.ok_or_else(|| out_of_order!("Module \"{name}\" has no deltas attached"))?;
            let buffer = delta.field(field).ok_or_else(|| no_field(name, field))?;
            (
                buffer,
                delta.elements(field, linear.weight.rows, linear.weight.columns),
            )
        } else {
            let tensor = model.tensors().find(|tensor| tensor.name == name);
            let tensor =
                tensor.ok_or_else(|| invalid!("The model has no module or tensor \"{name}\""))?;
            let trained = tensor
                .trained
                .as_ref()
                .ok_or_else(|| no_field(name, field))?;
            let buffer = match field {
                StateField::Grads => &trained.grads,
                StateField::ExpAvg => &trained.exp_avg,
                StateField::ExpAvgSq => &trained.exp_avg_sq,
                _ => return Err(no_field(name, field)),
            };
            (buffer, tensor.elements())
        };
        let dtype = match field {
            StateField::Indices | StateField::CandidateIndices => ArrayType::U32,
            _ => ArrayType::F32,
        };
        let bytes = device.read(buffer, 0, elements * 4).await?;
        Ok((
            ArrayInfo {
                dtype,
                elements: elements as u32,
            },
            bytes,
        ))
    }

    /// Writes one array of training state.
    pub(crate) fn state_write(
        &mut self,
        name: &str,
        field: StateField,
        payload: &[u8],
    ) -> Result<()> {
        let Self { device, model, .. } = self;
        let check = |elements: usize| {
            let expected = elements * 4;
            let got = payload.len();
            if got == expected {
                return Ok(());
            }
            Err(invalid!(
                "Cannot write {got} bytes to {field:?} of \"{name}\", expected {expected}"
            ))
        };
        if let Some(linear) = model.linears_mut().find(|linear| linear.module == name) {
            let delta = linear.delta.as_mut().filter(|delta| delta.attached);
            let delta =
                delta.ok_or_else(|| out_of_order!("Module \"{name}\" has no deltas attached"))?;
            check(delta.elements(field, linear.weight.rows, linear.weight.columns))?;
            if field == StateField::Indices {
                return Err(invalid!("Indices of \"{name}\" are written by deltaAttach"));
            }
            let buffer = delta
                .field_mut(field)
                .ok_or_else(|| no_field(name, field))?;
            device.write(buffer, 0, payload);
            if field == StateField::Values {
                delta.apply(device, &mut linear.weight);
            }
            return Ok(());
        }
        let tensor = model.tensors_mut().find(|tensor| tensor.name == name);
        let tensor =
            tensor.ok_or_else(|| invalid!("The model has no module or tensor \"{name}\""))?;
        check(tensor.elements())?;
        let trained = tensor
            .trained
            .as_mut()
            .ok_or_else(|| no_field(name, field))?;
        let buffer = match field {
            StateField::Grads => &mut trained.grads,
            StateField::ExpAvg => &mut trained.exp_avg,
            StateField::ExpAvgSq => &mut trained.exp_avg_sq,
            _ => return Err(no_field(name, field)),
        };
        device.write(buffer, 0, payload);
        Ok(())
    }

    /// Replaces deltas in every module and closes the window.
    pub(crate) async fn reselect(&mut self, plan: &ReselectionPlan) -> Result<Reselection> {
        if !(0.0..=1.0).contains(&plan.rate) || plan.gradient_accumulation_steps == 0 {
            return Err(invalid!(
                "Cannot reselect at rate {} with {} micro-batches per step",
                plan.rate,
                plan.gradient_accumulation_steps
            ));
        }
        let samples = match plan.criterion {
            GrowthCriterion::MomentumApproximation => 0,
            GrowthCriterion::AccumulatedGradients => self
                .window_samples
                .filter(|samples| *samples > 0)
                .ok_or_else(|| {
                    out_of_order!("Cannot reselect: no open window has seen a micro-batch")
                })?,
        };
        let seed = Seed::new(
            samples,
            plan.gradient_accumulation_steps,
            plan.betas.0,
            plan.betas.1,
        );
        let Self {
            device,
            model,
            workspace,
            ..
        } = self;
        let mut modules = Vec::new();
        for linear in model.linears_mut() {
            let shape = linear.weight.linear_shape(0);
            let Some(delta) = linear.delta.as_mut().filter(|delta| delta.attached) else {
                continue;
            };
            let requested = (delta.count as f64 * plan.rate) as usize;
            delta.detach(device, &mut linear.weight);
            let Delta {
                indices,
                values,
                grads,
                state,
                candidates,
                ..
            } = delta;
            let growth = match (plan.criterion, state, candidates) {
                (
                    GrowthCriterion::AccumulatedGradients,
                    DeltaState::AdamW(state),
                    Some(candidates),
                ) => Growth::AccumulatedGradients {
                    candidates,
                    state,
                    seed,
                },
                (GrowthCriterion::MomentumApproximation, DeltaState::Sm3(state), _) => {
                    Growth::MomentumApproximation {
                        state,
                        shape,
                        scratch: &mut workspace.linear.weights,
                    }
                }
                _ => {
                    return Err(EngineError::Internal(
                        "criterion and optimizer disagree".to_owned(),
                    ));
                }
            };
            let replaced = device.reselect(indices, values, growth, requested).await?;
            device.clear(grads);
            delta.keep_base(device, &mut linear.weight);
            modules.push(ModuleReselection {
                module: linear.module.clone(),
                requested: requested as u32,
                replaced: replaced as u32,
            });
        }
        self.window_samples = None;
        Ok(Reselection { modules })
    }

    /// The global 2-norm of all gradients.
    pub(crate) async fn grad_norm(&self) -> Result<f64> {
        let deltas = self.deltas().map(|delta| &delta.grads);
        let tensors = self
            .model
            .tensors()
            .filter_map(|tensor| tensor.trained.as_ref());
        let buffers: Vec<&D::Buffer> = deltas
            .chain(tensors.map(|trained| &trained.grads))
            .collect();
        Ok(self.device.sum_of_squares(&buffers).await?.sqrt())
    }

    /// Updates everything that is trained, and clears the gradients.
    pub(crate) fn optimizer_step(&mut self, update: &OptimizerUpdate) {
        let OptimizerUpdate {
            learning_rate,
            weight_decay,
            beta1,
            beta2,
            epsilon,
            grad_scale,
            step,
        } = *update;
        let adamw = AdamW {
            learning_rate,
            weight_decay,
            beta1,
            beta2,
            epsilon,
            grad_scale,
        };
        let sm3 = Sm3 {
            learning_rate,
            weight_decay,
            epsilon,
            grad_scale,
        };
        let Self {
            device,
            model,
            workspace,
            ..
        } = self;
        for linear in model.linears_mut() {
            let Some(delta) = linear.delta.as_mut().filter(|delta| delta.attached) else {
                continue;
            };
            match &mut delta.state {
                DeltaState::AdamW(state) => {
                    device.adamw_deltas(&adamw, &mut delta.values, &delta.grads, state)
                }
                DeltaState::Sm3(state) => {
                    let scratch = &mut workspace.linear.samples;
                    device.sm3(
                        &sm3,
                        &delta.indices,
                        &mut delta.values,
                        &delta.grads,
                        state,
                        scratch,
                    );
                }
            }
            delta.apply(device, &mut linear.weight);
        }
        for tensor in model.tensors_mut() {
            let Some(trained) = &mut tensor.trained else {
                continue;
            };
            let (exp_avg, exp_avg_sq) = (&mut trained.exp_avg, &mut trained.exp_avg_sq);
            device.adamw(
                &adamw,
                step,
                &mut tensor.data,
                &trained.grads,
                exp_avg,
                exp_avg_sq,
            );
        }
        self.grad_clear();
    }

    /// Clears the gradients.
    pub(crate) fn grad_clear(&mut self) {
        let Self { device, model, .. } = self;
        for delta in model
            .linears_mut()
            .filter_map(|linear| linear.delta.as_mut())
        {
            device.clear(&mut delta.grads);
        }
        for trained in model
            .tensors_mut()
            .filter_map(|tensor| tensor.trained.as_mut())
        {
            device.clear(&mut trained.grads);
        }
    }
}

impl<D: Device> Delta<D> {
    fn elements(&self, field: StateField, rows: usize, columns: usize) -> usize {
        match field {
            StateField::RowAccumulator => rows,
            StateField::ColumnAccumulator => columns,
            _ => self.count,
        }
    }

    fn field(&self, field: StateField) -> Option<&D::Buffer> {
        let candidates = self.candidates.as_ref();
        match (field, &self.state) {
            (StateField::Indices, _) => Some(&self.indices),
            (StateField::Values, _) => Some(&self.values),
            (StateField::Grads, _) => Some(&self.grads),
            (StateField::Ages, DeltaState::AdamW(state)) => Some(&state.ages),
            (StateField::ExpAvg, DeltaState::AdamW(state)) => Some(&state.exp_avg),
            (StateField::ExpAvgSq, DeltaState::AdamW(state)) => Some(&state.exp_avg_sq),
            (StateField::RowAccumulator, DeltaState::Sm3(state)) => Some(&state.rows),
            (StateField::ColumnAccumulator, DeltaState::Sm3(state)) => Some(&state.columns),
            (StateField::CandidateIndices, _) => candidates.map(|candidates| &candidates.indices),
            (StateField::CandidateGrads, _) => candidates.map(|candidates| &candidates.grads),
            (StateField::CandidateGradsSq, _) => candidates.map(|candidates| &candidates.grads_sq),
            _ => None,
        }
    }

    fn field_mut(&mut self, field: StateField) -> Option<&mut D::Buffer> {
        let candidates = self.candidates.as_mut();
        match (field, &mut self.state) {
            (StateField::Values, _) => Some(&mut self.values),
            (StateField::Grads, _) => Some(&mut self.grads),
            (StateField::Ages, DeltaState::AdamW(state)) => Some(&mut state.ages),
            (StateField::ExpAvg, DeltaState::AdamW(state)) => Some(&mut state.exp_avg),
            (StateField::ExpAvgSq, DeltaState::AdamW(state)) => Some(&mut state.exp_avg_sq),
            (StateField::RowAccumulator, DeltaState::Sm3(state)) => Some(&mut state.rows),
            (StateField::ColumnAccumulator, DeltaState::Sm3(state)) => Some(&mut state.columns),
            (StateField::CandidateIndices, _) => {
                candidates.map(|candidates| &mut candidates.indices)
            }
            (StateField::CandidateGrads, _) => candidates.map(|candidates| &mut candidates.grads),
            (StateField::CandidateGradsSq, _) => {
                candidates.map(|candidates| &mut candidates.grads_sq)
            }
            _ => None,
        }
    }
}

fn no_field(name: &str, field: StateField) -> EngineError {
    invalid!("\"{name}\" has no {field:?} in this training")
}
