//! Requests that read and write training state, array by array.

use crate::delta::{Delta, DeltaState, DeltaTraining};
use crate::device::Device;
use crate::error::{EngineError, Result, invalid, out_of_order};
use crate::model::tensor::{Tensor, Trained};
use crate::protocol::{ArrayInfo, ArrayType, StateField};
use crate::session::Session;

/// One array of training state.
struct Array<'a, B> {
    buffer: &'a mut B,
    elements: usize,
}

impl<D: Device> Session<D> {
    /// Reads one array of a module's deltas or of a fully trained tensor.
    pub(crate) async fn state_read(
        &mut self,
        name: &str,
        field: StateField,
    ) -> Result<(ArrayInfo, Vec<u8>)> {
        let (device, array) = self.array(name, field)?;
        let dtype = match field {
            StateField::Indices | StateField::CandidateIndices => ArrayType::U32,
            _ => ArrayType::F32,
        };
        let bytes = device.read(array.buffer, 0, array.elements * 4).await?;
        Ok((ArrayInfo { dtype, elements: array.elements as u32 }, bytes))
    }

    /// Writes one array of a module's deltas or of a fully trained tensor.
    pub(crate) fn state_write(
        &mut self,
        name: &str,
        field: StateField,
        payload: &[u8],
    ) -> Result<()> {
        if field == StateField::Indices {
            return Err(invalid!("Indices of \"{name}\" are written by deltaAttach"));
        }
        let (device, array) = self.array(name, field)?;
        let (got, expected) = (payload.len(), array.elements * 4);
        if got != expected {
            return Err(invalid!(
                "Cannot write {got} bytes to {field:?} of \"{name}\", expected {expected}"
            ));
        }
        device.write(array.buffer, 0, payload);
        let Self { device, model, .. } = self;
        let module = model.linears_mut().find(|linear| linear.module == name);
        if let Some(linear) = module.filter(|_| field == StateField::Values)
            && let Some(delta) = &linear.delta
        {
            delta.apply(device, &mut linear.weight);
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
