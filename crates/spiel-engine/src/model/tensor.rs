//! One weight tensor in its stored format, and what training all of it needs.

use crate::arena::{Arena, Purpose};
use crate::device::{Dense, Device, Factor, Stored};
use crate::error::{Result, invalid, out_of_order};
use crate::model::workspace::LinearScratch;
use crate::protocol::WeightFormat;
use spiel_kernels::element::Element;
use spiel_kernels::formats::Format;

/// A weight tensor, `[out, in]` or `[n]`.
pub(crate) struct Tensor<D: Device> {
    pub(crate) name: String,
    /// 1 for a vector.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) is_vector: bool,
    pub(crate) format: WeightFormat,
    pub(crate) data: D::Buffer,
    /// Present when every weight is trained.
    pub(crate) trained: Option<Trained<D>>,
    /// Bytes written so far, from the start.
    written: usize,
}

/// Gradient and AdamW's moments of a fully trained tensor.
pub(crate) struct Trained<D: Device> {
    pub(crate) grads: D::Buffer,
    pub(crate) exp_avg: D::Buffer,
    pub(crate) exp_avg_sq: D::Buffer,
}

impl<D: Device> Tensor<D> {
    /// Allocates a tensor of zeros that has still to be written.
    pub(crate) fn new(
        arena: &mut Arena<D>,
        name: String,
        shape: &[usize],
        format: WeightFormat,
        trained: bool,
    ) -> Result<Self> {
        let (rows, columns) = match *shape {
            [rows, columns] => (rows, columns),
            _ => (1, shape.iter().product()),
        };
        let (is_vector, block) = (shape.len() == 1, Format::from(format).block_elements());
        if !columns.is_multiple_of(block) {
            return Err(invalid!(
                "Tensor \"{name}\": {format:?} needs rows of a multiple of {block}, not {columns}"
            ));
        }
        // Vectors are used as they are, so they are always f32.
        if format != WeightFormat::F32 && (is_vector || trained) {
            let why = if is_vector { "vectors" } else { "trained weights" };
            return Err(invalid!("Tensor \"{name}\" is {format:?}, but {why} must be f32"));
        }
        let block_bytes = Format::from(format).block_bytes();
        let data = arena.blocks(Purpose::Weights, [rows, columns / block], block_bytes)?;
        let trained = if trained { Some(Trained::new(arena, [rows, columns])?) } else { None };
        Ok(Self { name, rows, columns, is_vector, format, data, trained, written: 0 })
    }

    pub(crate) fn elements(&self) -> usize {
        self.rows * self.columns
    }

    pub(crate) fn stored_bytes(&self) -> usize {
        Format::from(self.format).bytes(self.elements())
    }

    pub(crate) fn shape(&self) -> Vec<u32> {
        if self.is_vector {
            vec![self.columns as u32]
        } else {
            vec![self.rows as u32, self.columns as u32]
        }
    }

    /// Writes stored bytes; a tensor is written from its start to its end.
    pub(crate) fn write(&mut self, device: &D, offset: usize, bytes: &[u8]) -> Result<()> {
        let (name, total) = (&self.name, self.stored_bytes());
        if offset != 0 && offset != self.written {
            return Err(out_of_order!(
                "Cannot write \"{name}\" at byte {offset}: {} bytes are written",
                self.written
            ));
        }
        if bytes.len() > total - offset.min(total) {
            return Err(invalid!(
                "Cannot write {} bytes at byte {offset} of \"{name}\", which has {total}",
                bytes.len()
            ));
        }
        device.write(&mut self.data, offset, bytes);
        self.written = offset + bytes.len();
        Ok(())
    }

    /// Refuses to compute with a tensor that is not whole.
    pub(crate) fn check_written(&self) -> Result<()> {
        if self.written == self.stored_bytes() {
            return Ok(());
        }
        let (name, total) = (&self.name, self.stored_bytes());
        Err(out_of_order!("Tensor \"{name}\" has {} of its {total} bytes", self.written))
    }

    /// The weights as stored, with the deltas that are still to be added: an f32 matrix holds its own already.
    fn stored<'a>(
        &'a self,
        deltas: Option<(&'a D::Buffer, &'a D::Buffer)>,
    ) -> Stored<'a, D::Buffer> {
        let deltas = deltas.filter(|_| self.format != WeightFormat::F32);
        Stored { data: &self.data, format: self.format.into(), deltas }
    }

    /// Whether products take the weights as they are stored.
    pub(crate) fn is_multiplied_stored(&self, device: &D, element: Element) -> bool {
        self.format != WeightFormat::F32 && device.multiplies_stored(element)
    }

    /// The weights as products take them: the tensor's own when it is f32, in any precision, since there is nothing to
    /// decode; as stored where the device decodes them on their way; else decoded into `scratch` with `deltas` added.
    pub(crate) fn factor<'a>(
        &'a self,
        device: &D,
        deltas: Option<(&'a D::Buffer, &'a D::Buffer)>,
        scratch: &'a mut LinearScratch<D>,
    ) -> Factor<'a, D::Buffer> {
        let LinearScratch { weights, element, .. } = scratch;
        let bf16_factors = *element == Element::Bf16;
        let stored = self.stored(deltas);
        if self.format == WeightFormat::F32 {
            return Dense { bf16_factors, ..Dense::from(&self.data) }.into();
        }
        if self.is_multiplied_stored(device, *element) {
            return Factor::Stored(stored);
        }
        device.materialise(&stored, self.elements(), *element, weights);
        Dense { data: weights, element: *element, bf16_factors }.into()
    }

    /// y `[T, out]` of x `[T, in]` by the weights with `deltas` added.
    pub(crate) fn forward(
        &self,
        device: &D,
        deltas: Option<(&D::Buffer, &D::Buffer)>,
        x: &D::Buffer,
        tokens: usize,
        scratch: &mut LinearScratch<D>,
        y: &mut D::Buffer,
    ) {
        let shape = self.linear_shape(tokens);
        if !device.linear_packed(x, &self.stored(deltas), shape, y) {
            device.linear(x, self.factor(device, deltas, scratch), shape, y);
        }
    }
}

impl<D: Device> Trained<D> {
    fn new(arena: &mut Arena<D>, shape: [usize; 2]) -> Result<Self> {
        Ok(Self {
            grads: arena.elements(Purpose::Trained, shape)?,
            exp_avg: arena.elements(Purpose::Optimizer, shape)?,
            exp_avg_sq: arena.elements(Purpose::Optimizer, shape)?,
        })
    }
}
