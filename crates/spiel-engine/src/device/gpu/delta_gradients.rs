//! Gradients at the deltas, in one of two ways that give the same bits: every one sampled by itself, which pays where
//! deltas are few, or gathered from dense tiles. Which is faster for a module, a trial tells.

use super::product::Operand;
use super::{GpuBuffer, GpuDevice};
use crate::device::GradientTrial;
use crate::error::Result;
use crate::host::clock::Stopwatch;
use spiel_kernels::ops::delta;
use spiel_kernels::ops::linear::LinearShape;
use spiel_kernels::random::fill_normal;

/// Elements of a dense tile.
const TILE_ELEMENTS: usize = 4 << 20;
/// Numbers that a trial computes with, repeated as often as needed.
pub(super) const NUMBERS: usize = 1 << 16;
/// Deltas whose gradients a trial compares at either end, where ragged tiles are.
const COMPARED: usize = 1 << 16;
/// A trial goes on until it has measured for so long, so often at most. In WebGPU what is done shows some milliseconds
/// late.
const SECONDS: f64 = if cfg!(target_arch = "wasm32") { 0.2 } else { 0.02 };
const MOST_REPEATS: usize = 64;

/// Operands of gradients at the deltas: the positions, and the transposes `[in, T]` and `[out, T]`.
#[derive(Clone, Copy)]
pub(super) struct Transposes<'a> {
    pub(super) indices: &'a GpuBuffer,
    pub(super) x_t: &'a GpuBuffer,
    pub(super) grad_y_t: &'a GpuBuffer,
}

/// Modules for which one way is as fast as for another: inputs, outputs and the number of deltas.
pub(super) type ModuleSizes = [usize; 3];

fn sizes_of(shape: LinearShape, indices: &GpuBuffer) -> ModuleSizes {
    [shape.inputs, shape.outputs, indices.len()]
}

impl GpuDevice {
    /// Elements of the largest dense tile of a module.
    pub(super) fn tile_elements(&self, inputs: usize, outputs: usize) -> usize {
        let most = TILE_ELEMENTS.min(self.binding_bytes / 4) / inputs;
        (most / 64 * 64).clamp(1, outputs) * inputs
    }

    /// Gradients at the deltas in the way that is faster for their module, in place of `grads` or added to it.
    pub(super) fn delta_gradients(
        &self,
        operands: Transposes,
        shape: LinearShape,
        accumulate: bool,
        grads: &GpuBuffer,
    ) {
        if self.dense_gradients.borrow().contains(&sizes_of(shape, operands.indices)) {
            self.gather_gradients(operands, shape, accumulate, grads);
        } else {
            self.sample_gradients(operands, shape, accumulate, grads);
        }
    }

    fn sample_gradients(
        &self,
        Transposes { indices, x_t, grad_y_t }: Transposes,
        shape: LinearShape,
        accumulate: bool,
        grads: &GpuBuffer,
    ) {
        let LinearShape { tokens, inputs, outputs } = shape;
        let (count, tiling) = (indices.len(), self.tiling.get());
        let work = delta::sampled_gradient_work(count, tokens, outputs, accumulate);
        let slots_at_once = count.div_ceil(self.budget.get().dispatches(&work));
        let slots_at_once = slots_at_once.next_multiple_of(delta::SAMPLED_SLOTS).max(1);
        // Every slot is in one pair of rows and columns alone.
        for rows in self.cuts(outputs, &[tokens * 4]) {
            for columns in self.cuts(inputs, &[tokens * 4]) {
                let bound = [
                    indices.whole(),
                    self.part(x_t, &columns, tokens * 4),
                    self.part(grad_y_t, &rows, tokens * 4),
                    grads.whole(),
                ];
                for first in (0..count).step_by(slots_at_once) {
                    let slots = first..count.min(first + slots_at_once);
                    let program = delta::sampled_gradient_program(
                        tiling, &slots, tokens, inputs, &rows, &columns, accumulate,
                    );
                    self.run(&program, &bound);
                }
            }
        }
    }

    fn gather_gradients(
        &self,
        Transposes { indices, x_t, grad_y_t }: Transposes,
        shape: LinearShape,
        accumulate: bool,
        grads: &GpuBuffer,
    ) {
        let LinearShape { tokens, inputs, outputs } = shape;
        let rows_at_once = self.tile_elements(inputs, outputs) / inputs;
        let tile = self.temporary(rows_at_once * inputs);
        let (x, grad_y) = (Operand::new(x_t, tokens).transposed(), Operand::new(grad_y_t, tokens));
        for first in (0..outputs).step_by(rows_at_once) {
            let rows = rows_at_once.min(outputs - first);
            let dense = Operand::new(&tile, inputs);
            self.product([rows, inputs, tokens], grad_y.from(first, 0), x, dense, false);
            let held = first * inputs..(first + rows) * inputs;
            self.gather_words(&tile, held, indices, accumulate, grads);
        }
    }

    /// Measures both ways and takes the faster one for all modules of these sizes from now on. Dense tiles are taken only
    /// if they give the same bits, so that no result depends on the measurement.
    pub(super) async fn try_delta_gradients(
        &self,
        operands: Transposes<'_>,
        shape: LinearShape,
        grads: &GpuBuffer,
    ) -> Result<GradientTrial> {
        let LinearShape { tokens, inputs, outputs } = shape;
        self.fill(operands.x_t, tokens * inputs, 1);
        self.fill(operands.grad_y_t, tokens * outputs, 2);
        // Columns that begin at multiples of four, or do not, are read by other programs.
        let other =
            if tokens.is_multiple_of(4) { tokens.saturating_sub(1) } else { tokens / 4 * 4 };
        let agrees = other == 0 || self.ways_agree(operands, other, shape, grads).await?;
        let sample = || self.sample_gradients(operands, shape, false, grads);
        let gather = || self.gather_gradients(operands, shape, false, grads);
        let sampled_seconds = self.seconds_of(sample, grads).await?;
        let sampled = self.ends_of(grads, operands.indices.len()).await?;
        let dense_seconds = self.seconds_of(gather, grads).await?;
        let gathered = self.ends_of(grads, operands.indices.len()).await?;
        let dense = agrees && sampled == gathered && dense_seconds < sampled_seconds;
        if dense {
            self.dense_gradients.borrow_mut().insert(sizes_of(shape, operands.indices));
        }
        Ok(GradientTrial { sampled_seconds, dense_seconds, dense })
    }

    /// Whether both ways give the same bits for so many tokens.
    async fn ways_agree(
        &self,
        operands: Transposes<'_>,
        tokens: usize,
        shape: LinearShape,
        grads: &GpuBuffer,
    ) -> Result<bool> {
        let (shape, count) = (LinearShape { tokens, ..shape }, operands.indices.len());
        self.sample_gradients(operands, shape, false, grads);
        let sampled = self.ends_of(grads, count).await?;
        self.gather_gradients(operands, shape, false, grads);
        Ok(sampled == self.ends_of(grads, count).await?)
    }

    /// The first and the last of so many gradients.
    async fn ends_of(&self, grads: &GpuBuffer, count: usize) -> Result<[Vec<u8>; 2]> {
        let compared = count.min(COMPARED);
        let first = self.read_back(&grads.buffer, 0, compared * 4).await?;
        let last = self.read_back(&grads.buffer, (count - compared) * 4, compared * 4).await?;
        Ok([first, last])
    }

    /// Seconds that `work` takes once it has run before.
    async fn seconds_of(&self, work: impl Fn(), result: &GpuBuffer) -> Result<f64> {
        work();
        self.read_back(&result.buffer, 0, 4).await?;
        let mut repeats = 1;
        loop {
            let watch = Stopwatch::start();
            for _ in 0..repeats {
                work();
            }
            self.read_back(&result.buffer, 0, 4).await?;
            let seconds = watch.seconds();
            if seconds >= SECONDS || repeats >= MOST_REPEATS {
                return Ok(seconds / repeats as f64);
            }
            repeats *= 2;
        }
    }

    fn fill(&self, buffer: &GpuBuffer, count: usize, stream: u32) {
        let mut numbers = vec![0.0_f32; NUMBERS.min(count)];
        fill_normal(&mut numbers, 0, stream, 0, 1.0);
        let source = self.uploaded(bytemuck::cast_slice(&numbers));
        for at in (0..count).step_by(NUMBERS) {
            let words = NUMBERS.min(count - at);
            self.record_copy(&source.buffer, words, &buffer.buffer, at);
        }
    }

    /// Computes the gradients of modules of these sizes from dense tiles, or else by samples, from now on.
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) fn gather_from_dense(&self, shape: LinearShape, deltas: usize, dense: bool) {
        let sizes = [shape.inputs, shape.outputs, deltas];
        let all = &mut *self.dense_gradients.borrow_mut();
        if dense {
            all.insert(sizes);
        } else {
            all.remove(&sizes);
        }
    }
}
