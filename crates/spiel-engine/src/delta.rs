//! The deltas of one linear layer: positions, values, gradients, optimiser state and candidates.

use crate::arena::{Arena, Purpose};
use crate::device::{AdamWState, CandidateState, Device, Sm3State};
use crate::error::{Result, invalid};
use crate::model::tensor::Tensor;
use crate::protocol::{ModelOptions, Optimizer, Trainable, WeightFormat};
use spiel_kernels::ops::linear::LinearShape;

/// The stream of random numbers that initial positions are drawn from.
const POSITIONS_STREAM: u32 = 0x5049_454C;

/// A module's deltas.
pub(crate) struct Delta<D: Device> {
    /// k, the number of slots.
    pub(crate) count: usize,
    /// out_features of the matrix.
    pub(crate) rows: usize,
    /// in_features of the matrix.
    pub(crate) columns: usize,
    /// Sorted flat positions; meaningless until attached.
    pub(crate) indices: D::Buffer,
    pub(crate) values: D::Buffer,
    /// The weights at the positions without their deltas, when the matrix is f32 and keeps its deltas in place.
    pub(crate) base: Option<D::Buffer>,
    /// Absent when the deltas are only applied.
    pub(crate) training: Option<DeltaTraining<D>>,
    pub(crate) attached: bool,
}

/// What training a module's deltas needs beside them.
pub(crate) struct DeltaTraining<D: Device> {
    pub(crate) grads: D::Buffer,
    pub(crate) state: DeltaState<D>,
    /// Present when selection windows will be opened.
    pub(crate) candidates: Option<CandidateState<D::Buffer>>,
}

/// The optimiser's state of a module's deltas.
pub(crate) enum DeltaState<D: Device> {
    AdamW(AdamWState<D::Buffer>),
    Sm3(Sm3State<D::Buffer>),
}

impl<D: Device> Delta<D> {
    /// Allocates `count` slots for a matrix.
    pub(crate) fn new(
        arena: &mut Arena<D>,
        matrix: &Tensor<D>,
        count: u32,
        options: &ModelOptions,
    ) -> Result<Self> {
        let count = count as usize;
        if count > matrix.elements() {
            let (name, elements) = (&matrix.name, matrix.elements());
            return Err(invalid!(
                "Cannot give \"{name}\" {count} deltas: it has {elements} weights"
            ));
        }
        let training = if options.trainable == Trainable::Deltas {
            Some(DeltaTraining::new(arena, matrix, count, options)?)
        } else {
            None
        };
        let in_place = matrix.format == WeightFormat::F32;
        Ok(Self {
            count,
            rows: matrix.rows,
            columns: matrix.columns,
            indices: arena.elements(Purpose::Trained, [count])?,
            values: arena.elements(Purpose::Trained, [count])?,
            base: if in_place { Some(arena.elements(Purpose::Trained, [count])?) } else { None },
            training,
            attached: false,
        })
    }

    /// Puts deltas of zero at `indices`, or at random positions drawn from `seed` when there are none.
    ///
    /// # Errors
    /// When the indices are not as many as the slots, ascending, different and inside the matrix.
    pub(crate) fn attach(
        &mut self,
        device: &D,
        matrix: &mut Tensor<D>,
        indices: &[u32],
        seed: u32,
    ) -> Result<()> {
        matrix.check_written()?;
        let drawn = indices.is_empty() && self.count > 0;
        if !drawn {
            self.check_indices(matrix, indices)?;
        }
        self.detach(device, matrix);
        if drawn {
            // Modules draw from streams of their own, so one seed gives different positions everywhere.
            let stream = matrix.name.bytes().fold(POSITIONS_STREAM, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
            device.draw_positions(seed, stream, matrix.elements() as u32, &mut self.indices);
        } else {
            device.write(&mut self.indices, 0, bytemuck::cast_slice(indices));
        }
        device.clear(&mut self.values);
        if let Some(training) = &mut self.training {
            training.clear(device, self.count);
        }
        self.attached = true;
        self.keep_base(device, matrix);
        Ok(())
    }

    fn check_indices(&self, matrix: &Tensor<D>, indices: &[u32]) -> Result<()> {
        let (name, count, elements) = (&matrix.name, self.count, matrix.elements());
        if indices.len() != count {
            return Err(invalid!(
                "Cannot attach {} indices to \"{name}\": expected {count}",
                indices.len()
            ));
        }
        if let Some([before, after]) =
            indices.array_windows::<2>().find(|[before, after]| before >= after)
        {
            return Err(invalid!(
                "Cannot attach deltas to \"{name}\": index {after} follows {before}, expected ascending"
            ));
        }
        if let Some(last) = indices.last().filter(|last| **last as usize >= elements) {
            return Err(invalid!(
                "Cannot attach index {last} to \"{name}\", which has {elements} weights"
            ));
        }
        Ok(())
    }

    /// Takes the deltas out of a matrix that keeps them in place; [`Self::keep_base`] or [`Self::apply`] must follow.
    pub(crate) fn detach(&self, device: &D, matrix: &mut Tensor<D>) {
        if let Some(base) = self.base.as_ref().filter(|_| self.attached) {
            device.restore(&self.indices, base, &mut matrix.data);
        }
    }

    /// Remembers the weights at the positions of a matrix without deltas, and puts the deltas in.
    pub(crate) fn keep_base(&mut self, device: &D, matrix: &mut Tensor<D>) {
        if let Some(base) = &mut self.base {
            device.gather(&matrix.data, &self.indices, base);
        }
        self.apply(device, matrix);
    }

    /// Puts the current values into a matrix that keeps its deltas in place.
    pub(crate) fn apply(&self, device: &D, matrix: &mut Tensor<D>) {
        if let Some(base) = &self.base {
            device.apply_in_place(&self.indices, base, &self.values, &mut matrix.data);
        }
    }
}

impl<D: Device> DeltaTraining<D> {
    fn new(
        arena: &mut Arena<D>,
        matrix: &Tensor<D>,
        count: usize,
        options: &ModelOptions,
    ) -> Result<Self> {
        let state = match options.optimizer {
            Optimizer::Adamw => DeltaState::AdamW(AdamWState {
                ages: arena.elements(Purpose::Optimizer, [count])?,
                exp_avg: arena.elements(Purpose::Optimizer, [count])?,
                exp_avg_sq: arena.elements(Purpose::Optimizer, [count])?,
            }),
            Optimizer::Sm3 => DeltaState::Sm3(Sm3State {
                rows: arena.elements(Purpose::Optimizer, [matrix.rows])?,
                columns: arena.elements(Purpose::Optimizer, [matrix.columns])?,
            }),
        };
        let candidates = if options.candidates {
            Some(CandidateState {
                indices: arena.elements(Purpose::Candidates, [count])?,
                grads: arena.elements(Purpose::Candidates, [count])?,
                grads_sq: arena.elements(Purpose::Candidates, [count])?,
            })
        } else {
            None
        };
        Ok(Self { grads: arena.elements(Purpose::Trained, [count])?, state, candidates })
    }

    /// Clears gradients and optimiser state.
    fn clear(&mut self, device: &D, count: usize) {
        device.clear(&mut self.grads);
        match &mut self.state {
            DeltaState::AdamW(state) => {
                let ages = vec![1.0_f32; count];
                device.write(&mut state.ages, 0, bytemuck::cast_slice(&ages));
                device.clear(&mut state.exp_avg);
                device.clear(&mut state.exp_avg_sq);
            }
            DeltaState::Sm3(state) => {
                device.clear(&mut state.rows);
                device.clear(&mut state.columns);
            }
        }
    }
}

impl<D: Device> Tensor<D> {
    /// The shape of the matrix as an operand of reselection.
    pub(crate) fn linear_shape(&self, tokens: usize) -> LinearShape {
        LinearShape { tokens, inputs: self.columns, outputs: self.rows }
    }
}
