//! Requests that move weights: writing and reading tensors, converting formats, initialising from a seed.

use crate::arena::zeros;
use crate::delta::Delta;
use crate::device::Device;
use crate::error::{EngineError, Result, invalid, out_of_order};
use crate::model::tensor::Tensor;
use crate::protocol::{ArrayInfo, ArrayType, WeightFormat};
use crate::session::Session;
use spiel_kernels::formats::{
    Format, SHARED_BLOCKS, decode_threaded, encode, quantise_magnitudes, sum_of_magnitudes,
};
use spiel_kernels::random::{NORMALS_PER_DRAW, fill_normal};

/// Weights that are drawn and encoded at once when a model is initialised: the memory of all beside the model's own.
const INITIALISED_AT_ONCE: usize = 1 << 20;
/// NF4 blocks whose scales are quantised at once, 9 MiB.
const QUANTISED_AT_ONCE: usize = 1024 * SHARED_BLOCKS;

impl<D: Device> Session<D> {
    /// Writes stored bytes of a tensor.
    pub(crate) fn tensor_write(&mut self, name: &str, offset: u64, payload: &[u8]) -> Result<()> {
        if self.deltas().any(|delta| delta.attached) {
            return Err(out_of_order!("Cannot write \"{name}\" once deltas are attached"));
        }
        let Self { device, model, .. } = self;
        let tensor = model.tensors_mut().find(|tensor| tensor.name == name);
        let tensor = tensor.ok_or_else(|| unknown(name))?;
        tensor.write(device, usize::try_from(offset).unwrap_or(usize::MAX), payload)
    }

    /// Quantises the scales of a whole NF4 tensor in turn.
    pub(crate) async fn tensor_quantize_scales(&mut self, name: &str) -> Result<()> {
        if self.deltas().any(|delta| delta.attached) {
            return Err(out_of_order!("Cannot quantise \"{name}\" once deltas are attached"));
        }
        let Self { device, model, .. } = self;
        let tensor = model.tensors_mut().find(|tensor| tensor.name == name);
        let tensor = tensor.ok_or_else(|| unknown(name))?;
        tensor.check_written()?;
        if tensor.format != WeightFormat::Nf4 {
            return Err(invalid!(
                "Tensor \"{name}\" is {:?}; only Nf4 has such scales",
                tensor.format
            ));
        }
        let (total, block_bytes) = (tensor.stored_bytes(), Format::Nf4.block_bytes());
        let parts = || {
            let firsts = (0..total).step_by(QUANTISED_AT_ONCE * block_bytes);
            firsts.map(|first| (first, (total - first).min(QUANTISED_AT_ONCE * block_bytes)))
        };
        let mut sum = 0.0;
        for (first, bytes) in parts() {
            sum = sum_of_magnitudes(sum, &device.read(&tensor.data, first, bytes).await?);
        }
        let mean = (sum / (total / block_bytes) as f64) as f32;
        for (first, bytes) in parts() {
            let mut stored = device.read(&tensor.data, first, bytes).await?;
            quantise_magnitudes(&mut stored, mean);
            tensor.write(device, first, &stored)?;
        }
        Ok(())
    }

    /// Fills all weights for training from scratch.
    pub(crate) fn tensor_init(&mut self, seed: u32, std: f32) -> Result<()> {
        if self.deltas().any(|delta| delta.attached) {
            return Err(out_of_order!("Cannot initialise weights once deltas are attached"));
        }
        let Self { device, model, .. } = self;
        for (stream, tensor) in model.tensors_mut().enumerate() {
            let stored = Format::from(tensor.format);
            let gain = if tensor.name.rsplit('.').next() == Some("bias") { 0.0 } else { 1.0 };
            let rows = rows_at_once(tensor.columns);
            for row in (0..tensor.rows).step_by(rows) {
                let first = row * tensor.columns;
                let mut values = zeros(rows.min(tensor.rows - row) * tensor.columns)?;
                if tensor.is_vector {
                    values.fill(gain);
                } else {
                    let draw = (first / NORMALS_PER_DRAW) as u64;
                    device.on_threads(|| fill_normal(&mut values, seed, stream as u32, draw, std));
                }
                let (_, bytes) = encoded(device, tensor.format, &values, "A drawn weight")?;
                tensor.write(device, stored.bytes(first), &bytes)?;
            }
        }
        Ok(())
    }

    /// Reads rows of a tensor in f32, with or without deltas, and encodes them.
    pub(crate) async fn tensor_read(
        &self,
        name: &str,
        rows: std::ops::Range<usize>,
        format: WeightFormat,
        merged: bool,
    ) -> Result<(ArrayInfo, Vec<u8>)> {
        let Self { device, model, .. } = self;
        let tensor = model.tensors().find(|tensor| tensor.name == name);
        let tensor = tensor.ok_or_else(|| unknown(name))?;
        tensor.check_written()?;
        if rows.start >= rows.end || rows.end > tensor.rows {
            return Err(invalid!(
                "Cannot read rows {rows:?} of \"{name}\", which has {}",
                tensor.rows
            ));
        }
        if !tensor.columns.is_multiple_of(Format::from(format).block_elements()) {
            return Err(invalid!("Cannot encode rows of {} as {format:?}", tensor.columns));
        }
        let (start, mut values) =
            (rows.start * tensor.columns, zeros(rows.len() * tensor.columns)?);
        read_values(device, tensor, start, &mut values).await?;
        let linear = model.linears().find(|linear| linear.weight.name == name);
        if let Some(delta) =
            linear.and_then(|linear| linear.delta.as_ref()).filter(|delta| delta.attached)
        {
            match (&delta.base, merged) {
                // An f32 matrix holds its deltas already; what is read is put back to the base.
                (Some(base), false) => {
                    delta.visit(device, base, start, &mut values, |_, base| base).await?;
                }
                (None, true) => {
                    delta
                        .visit(device, &delta.values, start, &mut values, |w, delta| w + delta)
                        .await?;
                }
                _ => {}
            }
        }
        encoded(device, format, &values, format_args!("A weight of \"{name}\""))
    }
}

impl<D: Device> Delta<D> {
    /// Changes the weights `start..start + weights.len()` at the active positions by what `source` holds there.
    async fn visit(
        &self,
        device: &D,
        source: &D::Buffer,
        start: usize,
        weights: &mut [f32],
        change: impl Fn(f32, f32) -> f32,
    ) -> Result<()> {
        let indices: Vec<u32> =
            bytemuck::pod_collect_to_vec(&device.read(&self.indices, 0, self.count * 4).await?);
        let slot = |place: usize| indices.partition_point(|index| (*index as usize) < place);
        let slots = slot(start)..slot(start + weights.len());
        let source: Vec<f32> = bytemuck::pod_collect_to_vec(
            &device.read(source, slots.start * 4, slots.len() * 4).await?,
        );
        for (index, source) in indices[slots].iter().zip(source) {
            let weight = &mut weights[*index as usize - start];
            *weight = change(*weight, source);
        }
        Ok(())
    }
}

fn unknown(name: &str) -> EngineError {
    invalid!("The model has no tensor \"{name}\"")
}

/// Rows of a matrix that are initialised at once: whole draws of random numbers, and about [`INITIALISED_AT_ONCE`].
fn rows_at_once(columns: usize) -> usize {
    (INITIALISED_AT_ONCE / columns).max(1).next_multiple_of(NORMALS_PER_DRAW)
}

/// Decodes `values.len()` weights from element `start` on, a multiple of the row.
async fn read_values<D: Device>(
    device: &D,
    tensor: &Tensor<D>,
    start: usize,
    values: &mut [f32],
) -> Result<()> {
    let format = Format::from(tensor.format);
    let bytes = device.read(&tensor.data, format.bytes(start), format.bytes(values.len())).await?;
    device.on_threads(|| decode_threaded(format, &bytes, values));
    Ok(())
}

/// Encodes weights; `what` names one of them in errors.
///
/// # Errors
/// When a block would hide a weight that is not finite, or hold it by an infinite scale.
fn encoded(
    device: &impl Device,
    format: WeightFormat,
    values: &[f32],
    what: impl std::fmt::Display,
) -> Result<(ArrayInfo, Vec<u8>)> {
    if let Some(largest) = largest_in_blocks(format)
        && let Some(weight) = values.iter().find(|weight| weight.is_nan() || weight.abs() > largest)
    {
        return Err(invalid!("{what} is {weight}, which {format:?} cannot hold"));
    }
    let mut bytes = zeros(Format::from(format).bytes(values.len()))?;
    device.on_threads(|| encode(format.into(), values, &mut bytes));
    let dtype = if format == WeightFormat::F32 { ArrayType::F32 } else { ArrayType::Bytes };
    Ok((ArrayInfo { dtype, elements: values.len() as u32 }, bytes))
}

/// The largest magnitude that a format of blocks surely holds: its scales are f16, those of NF4 f32. None for the others,
/// which keep what is not finite.
fn largest_in_blocks(format: WeightFormat) -> Option<f32> {
    match format {
        WeightFormat::F32 | WeightFormat::F16 | WeightFormat::Bf16 => None,
        WeightFormat::Nf4 => Some(f32::MAX),
        _ => Some(65_504.0),
    }
}

/// Converts `elements` weights between stored formats.
///
/// # Errors
/// When the elements are not whole blocks of both formats or the payload has another size.
pub(crate) fn convert(
    device: &impl Device,
    from: WeightFormat,
    to: WeightFormat,
    elements: u32,
    payload: &[u8],
) -> Result<(ArrayInfo, Vec<u8>)> {
    let (source, target, elements) = (Format::from(from), Format::from(to), elements as usize);
    if !elements.is_multiple_of(source.block_elements())
        || !elements.is_multiple_of(target.block_elements())
    {
        return Err(invalid!(
            "Cannot convert {elements} elements from {from:?} to {to:?}: not whole blocks"
        ));
    }
    if payload.len() != source.bytes(elements) {
        return Err(invalid!(
            "Payload of {elements} {from:?} elements has {} bytes, expected {}",
            payload.len(),
            source.bytes(elements)
        ));
    }
    let mut values = zeros(elements)?;
    device.on_threads(|| decode_threaded(source, payload, &mut values));
    encoded(device, to, &values, "A weight")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_initialised_in_whole_draws() {
        for columns in [1, 3, 64, 1001, INITIALISED_AT_ONCE, INITIALISED_AT_ONCE + 1] {
            let rows = rows_at_once(columns);
            assert!(rows * columns >= INITIALISED_AT_ONCE.min(columns));
            assert_eq!(rows * columns % NORMALS_PER_DRAW, 0, "{columns} columns");
        }
    }
}
