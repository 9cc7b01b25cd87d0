//! Requests that read and write training state, array by array.

use crate::delta::{Delta, DeltaState, DeltaTraining};
use crate::device::Device;
use crate::error::{EngineError, Result, invalid, out_of_order};
use crate::model::tensor::{Tensor, Trained};
use crate::protocol::{ArrayInfo, ArrayType, StateField};
use crate::session::Session;

/// Indices that are fetched for checking at once.
const CHECKED_AT_ONCE: usize = 1 << 20;

/// One array of training state.
struct Array<'a, B> {
    buffer: &'a mut B,
    elements: usize,
}

impl<D: Device> Session<D> {
    /// Reads elements of one array of a module's deltas or of a fully trained tensor.
    pub(crate) async fn state_read(
        &mut self,
        name: &str,
        field: StateField,
        offset: u32,
        count: Option<u32>,
    ) -> Result<(ArrayInfo, Vec<u8>)> {
        let (device, array) = self.array(name, field)?;
        let count = count.map_or(array.elements.saturating_sub(offset as usize), |n| n as usize);
        array.check(name, field, offset, count)?;
        let dtype = match field {
            StateField::Indices | StateField::CandidateIndices => ArrayType::U32,
            _ => ArrayType::F32,
        };
        let bytes = device.read(array.buffer, offset as usize * 4, count * 4).await?;
        Ok((ArrayInfo { dtype, elements: count as u32 }, bytes))
    }

    /// Writes elements of one array of a module's deltas or of a fully trained tensor.
    pub(crate) fn state_write(
        &mut self,
        name: &str,
        field: StateField,
        offset: u32,
        payload: &[u8],
    ) -> Result<()> {
        if field == StateField::Indices {
            return Err(invalid!("Indices of \"{name}\" are written by deltaAttach"));
        }
        let chosen = self.window_samples.is_some_and(|samples| samples > 0);
        if field == StateField::CandidateIndices && chosen {
            return Err(out_of_order!("The open window has chosen its candidates of \"{name}\""));
        }
        if !payload.len().is_multiple_of(4) {
            return Err(invalid!(
                "Payload for {field:?} of \"{name}\" has {} bytes, expected a multiple of 4",
                payload.len()
            ));
        }
        let (device, array) = self.array(name, field)?;
        array.check(name, field, offset, payload.len() / 4)?;
        device.write(array.buffer, offset as usize * 4, payload);
        let Self { device, model, .. } = self;
        let module = model.linears_mut().find(|linear| linear.module == name);
        if let Some(linear) = module.filter(|_| field == StateField::Values)
            && let Some(delta) = &linear.delta
        {
            delta.apply(device, &mut linear.weight);
        }
        Ok(())
    }

    /// Refuses candidates that no window could have chosen: they may have been written, in any number of parts.
    pub(crate) async fn check_candidate_indices(&self) -> Result<()> {
        for linear in self.model.linears() {
            let delta = linear.delta.as_ref().filter(|delta| delta.attached);
            let training = delta.and_then(|delta| delta.training.as_ref());
            let Some(found) = training.and_then(|training| training.candidates.as_ref()) else {
                continue;
            };
            let count = delta.map_or(0, |delta| delta.count);
            let mut least = 0;
            for first in (0..count).step_by(CHECKED_AT_ONCE) {
                let length = CHECKED_AT_ONCE.min(count - first);
                let bytes = self.device.read(&found.indices, first * 4, length * 4).await?;
                for index in bytemuck::pod_collect_to_vec::<u8, u32>(&bytes) {
                    let (elements, module) = (linear.weight.elements(), &linear.module);
                    if u64::from(index) < least || index as usize >= elements {
                        return Err(invalid!(
                            "Candidate {index} of \"{module}\": expected ascending indices below {elements}"
                        ));
                    }
                    least = u64::from(index) + 1;
                }
            }
        }
        Ok(())
    }

    fn array(&mut self, name: &str, field: StateField) -> Result<(&D, Array<'_, D::Buffer>)> {
        let Self { device, model, .. } = self;
        let absent = || invalid!("\"{name}\" has no {field:?} in this training");
        if model.linears().any(|linear| linear.module == name) {
            let linear = model.linears_mut().find(|linear| linear.module == name);
            let delta = linear.and_then(|linear| linear.delta.as_mut());
            let delta = delta.filter(|delta| delta.attached).ok_or_else(|| unattached(name))?;
            return Ok((device, delta.array(field).ok_or_else(absent)?));
        }
        let tensor = model.tensors_mut().find(|tensor| tensor.name == name);
        let tensor =
            tensor.ok_or_else(|| invalid!("The model has no module or tensor \"{name}\""))?;
        Ok((device, tensor.array(field).ok_or_else(absent)?))
    }
}

impl<B> Array<'_, B> {
    /// Refuses elements outside the array.
    fn check(&self, name: &str, field: StateField, offset: u32, count: usize) -> Result<()> {
        let elements = self.elements;
        let end = u64::from(offset) + count as u64;
        if end <= elements as u64 {
            return Ok(());
        }
        Err(invalid!("{field:?} of \"{name}\" has {elements} elements, expected {offset} to {end}"))
    }
}

fn unattached(name: &str) -> EngineError {
    out_of_order!("Module \"{name}\" has no deltas attached")
}

impl<D: Device> Delta<D> {
    fn array(&mut self, field: StateField) -> Option<Array<'_, D::Buffer>> {
        let (count, rows, columns) = (self.count, self.rows, self.columns);
        let buffer = match field {
            StateField::Indices => &mut self.indices,
            StateField::Values => &mut self.values,
            _ => self.training.as_mut()?.buffer(field)?,
        };
        let elements = match field {
            StateField::RowAccumulator => rows,
            StateField::ColumnAccumulator => columns,
            _ => count,
        };
        Some(Array { buffer, elements })
    }
}

impl<D: Device> DeltaTraining<D> {
    fn buffer(&mut self, field: StateField) -> Option<&mut D::Buffer> {
        let candidates = self.candidates.as_mut();
        match (field, &mut self.state) {
            (StateField::Grads, _) => Some(&mut self.grads),
            (StateField::Ages, DeltaState::AdamW(state)) => Some(&mut state.ages),
            (StateField::ExpAvg, DeltaState::AdamW(state)) => Some(&mut state.exp_avg),
            (StateField::ExpAvgSq, DeltaState::AdamW(state)) => Some(&mut state.exp_avg_sq),
            (StateField::RowAccumulator, DeltaState::Sm3(state)) => Some(&mut state.rows),
            (StateField::ColumnAccumulator, DeltaState::Sm3(state)) => Some(&mut state.columns),
            (StateField::CandidateIndices, _) => candidates.map(|found| &mut found.indices),
            (StateField::CandidateGrads, _) => candidates.map(|found| &mut found.grads),
            (StateField::CandidateGradsSq, _) => candidates.map(|found| &mut found.grads_sq),
            _ => None,
        }
    }
}

impl<D: Device> Tensor<D> {
    fn array(&mut self, field: StateField) -> Option<Array<'_, D::Buffer>> {
        let elements = self.elements();
        let Trained { grads, exp_avg, exp_avg_sq } = self.trained.as_mut()?;
        let buffer = match field {
            StateField::Grads => grads,
            StateField::ExpAvg => exp_avg,
            StateField::ExpAvgSq => exp_avg_sq,
            _ => return None,
        };
        Some(Array { buffer, elements })
    }
}
