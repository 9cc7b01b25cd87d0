//! Operations on what is trained, by the kernels' programs.

use super::{GpuBuffer, GpuDevice};
use crate::device::{
    AdamWState, CandidateState, Growth, LinearShape, Memory, Sm3State, TrainingOps,
};
use crate::error::Result;
use spiel_kernels::ops::adamw::{self, AdamW};
use spiel_kernels::ops::sm3::{self, Sm3};
use spiel_kernels::ops::top_k::Keys;
use spiel_kernels::ops::{delta, sum_of_squares, transpose};

impl TrainingOps for GpuDevice {
    fn transpose(&self, x: &GpuBuffer, rows: usize, columns: usize, out: &mut GpuBuffer) {
        self.run(&transpose::transpose_program(rows, columns), &[x, out]);
    }

    fn sampled_gradient(
        &self,
        indices: &GpuBuffer,
        x_t: &GpuBuffer,
        grad_y_t: &GpuBuffer,
        shape: LinearShape,
        grads: &mut GpuBuffer,
    ) {
        let LinearShape { tokens, inputs, .. } = shape;
        let program = delta::sampled_gradient_program(indices.len(), tokens, inputs, true);
        self.run(&program, &[indices, x_t, grad_y_t, grads]);
    }

    fn choose_candidates(
        &self,
        gradient: &GpuBuffer,
        elements: usize,
        candidates: &mut CandidateState<GpuBuffer>,
    ) {
        let CandidateState { indices, grads, grads_sq } = candidates;
        let count = indices.len();
        let selection = self.selection_of(count);
        self.select(Keys::Magnitudes, gradient, elements, &selection, indices);
        let sample = self.temporary(count);
        self.run(&delta::gather_program(count), &[gradient, indices, &sample]);
        self.clear(grads);
        self.clear(grads_sq);
        let program = delta::accumulate_candidates_program(count);
        self.run(&program, &[&sample, grads, grads_sq]);
    }

    fn accumulate_candidates(
        &self,
        x_t: &GpuBuffer,
        grad_y_t: &GpuBuffer,
        shape: LinearShape,
        candidates: &mut CandidateState<GpuBuffer>,
        scratch: &mut GpuBuffer,
    ) {
        let CandidateState { indices, grads, grads_sq } = candidates;
        let LinearShape { tokens, inputs, .. } = shape;
        let count = indices.len();
        let program = delta::sampled_gradient_program(count, tokens, inputs, false);
        self.run(&program, &[indices, x_t, grad_y_t, scratch]);
        let program = delta::accumulate_candidates_program(count);
        self.run(&program, &[scratch, grads, grads_sq]);
    }

    fn gather(&self, x: &GpuBuffer, indices: &GpuBuffer, out: &mut GpuBuffer) {
        self.run(&delta::gather_program(indices.len()), &[x, indices, out]);
    }

    fn apply_in_place(
        &self,
        indices: &GpuBuffer,
        base: &GpuBuffer,
        values: &GpuBuffer,
        weights: &mut GpuBuffer,
    ) {
        let program = delta::apply_in_place_program(indices.len());
        self.run(&program, &[indices, base, values, weights]);
    }

    fn restore(&self, indices: &GpuBuffer, base: &GpuBuffer, weights: &mut GpuBuffer) {
        self.run(&delta::restore_program(indices.len()), &[indices, base, weights]);
    }

    async fn reselect(
        &self,
        indices: &mut GpuBuffer,
        values: &mut GpuBuffer,
        growth: Growth<'_, GpuBuffer>,
        count: usize,
    ) -> Result<usize> {
        self.replace_deltas(indices, values, growth, count).await
    }

    fn adamw(
        &self,
        update: &AdamW,
        step: u32,
        values: &mut GpuBuffer,
        grads: &GpuBuffer,
        exp_avg: &mut GpuBuffer,
        exp_avg_sq: &mut GpuBuffer,
    ) {
        let program = adamw::adamw_program(update, step, values.len());
        self.run(&program, &[grads, values, exp_avg, exp_avg_sq]);
    }

    fn adamw_deltas(
        &self,
        update: &AdamW,
        values: &mut GpuBuffer,
        grads: &GpuBuffer,
        state: &mut AdamWState<GpuBuffer>,
    ) {
        let AdamWState { ages, exp_avg, exp_avg_sq } = state;
        let program = adamw::adamw_deltas_program(update, values.len());
        self.run(&program, &[grads, values, exp_avg, exp_avg_sq, ages]);
    }

    fn sm3(
        &self,
        update: &Sm3,
        indices: &GpuBuffer,
        values: &mut GpuBuffer,
        grads: &GpuBuffer,
        state: &mut Sm3State<GpuBuffer>,
        scratch: &mut GpuBuffer,
    ) {
        let Sm3State { rows, columns } = state;
        let (count, width) = (indices.len(), columns.len());
        let program = sm3::sm3_estimate_program(update, count, width);
        self.run(&program, &[indices, grads, rows, columns, values, scratch]);
        let program = sm3::sm3_accumulate_program(count, width);
        self.run(&program, &[indices, scratch, rows, columns]);
    }

    async fn sum_of_squares(&self, buffers: &[&GpuBuffer]) -> Result<f64> {
        let runs = |buffer: &GpuBuffer| buffer.len().div_ceil(sum_of_squares::RUN);
        let total: usize = buffers.iter().map(|buffer| runs(buffer)).sum();
        let mut all = self.temporary(total);
        let mut at = 0;
        for buffer in buffers {
            let sums = self.temporary(runs(buffer));
            let program = sum_of_squares::sum_of_squares_program(buffer.len());
            self.run(&program, &[buffer, &sums]);
            self.copy(&sums, runs(buffer), &mut all, at);
            at += runs(buffer);
        }
        let bytes = self.read(&all, 0, total * 4).await?;
        let sums: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        Ok(sums.into_iter().map(f64::from).sum())
    }
}
