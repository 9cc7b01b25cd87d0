//! Operations on what is trained, by the kernels' programs.

use super::delta_gradients::Transposes;
use super::{GpuBuffer, GpuDevice};
use crate::device::{
    AdamWState, CandidateState, GradientTrial, Growth, Memory, ModuleSize, SampledLayer,
    SamplingScratch, Sm3State, TrainingOps,
};
use crate::error::Result;
use spiel_kernels::ops::adamw::{self, AdamW};
use spiel_kernels::ops::linear::LinearShape;
use spiel_kernels::ops::positions::{self, RUN};
use spiel_kernels::ops::sm3::{self, Sm3};
use spiel_kernels::ops::top_k::{self, Keys};
use spiel_kernels::ops::{clip, delta, transpose};
use std::ops::Range;

impl TrainingOps for GpuDevice {
    fn sampling_words(
        &self,
        tokens: usize,
        layers: &[ModuleSize],
        _candidates: bool,
    ) -> SamplingScratch<usize> {
        let most = |of: fn(&ModuleSize) -> usize| layers.iter().map(of).max().unwrap_or(0);
        SamplingScratch {
            x_t: tokens * most(|layer| layer.inputs),
            grad_y_t: tokens * most(|layer| layer.outputs),
            samples: most(|layer| layer.deltas),
        }
    }

    fn sampled_gradients(
        &self,
        x: &GpuBuffer,
        tokens: usize,
        inputs: usize,
        layers: &mut [SampledLayer<'_, GpuBuffer>],
        scratch: &mut SamplingScratch<GpuBuffer>,
    ) {
        let SamplingScratch { x_t, grad_y_t, samples } = scratch;
        self.transpose(x, tokens, inputs, x_t);
        for SampledLayer { grad_y, outputs, indices, grads, candidates } in layers {
            self.transpose(grad_y, tokens, *outputs, grad_y_t);
            let shape = LinearShape { tokens, inputs, outputs: *outputs };
            self.delta_gradients(Transposes { indices, x_t, grad_y_t }, shape, true, grads);
            let Some(candidates) = candidates else { continue };
            let CandidateState { indices, grads, grads_sq } = &mut **candidates;
            self.delta_gradients(Transposes { indices, x_t, grad_y_t }, shape, false, samples);
            let program = delta::accumulate_candidates_program(indices.len());
            self.run(&program, &[&*samples, grads, grads_sq]);
        }
    }

    async fn try_gradients(
        &self,
        indices: &GpuBuffer,
        shape: LinearShape,
        scratch: &mut SamplingScratch<GpuBuffer>,
    ) -> Result<Option<GradientTrial>> {
        if indices.len() == 0 {
            return Ok(None);
        }
        let SamplingScratch { x_t, grad_y_t, samples } = scratch;
        let operands = Transposes { indices, x_t, grad_y_t };
        self.try_delta_gradients(operands, shape, samples).await.map(Some)
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
        self.gather_words(gradient, 0..elements, indices, false, &sample);
        self.clear(grads);
        self.clear(grads_sq);
        let program = delta::accumulate_candidates_program(count);
        self.run(&program, &[&*sample, grads, grads_sq]);
    }

    fn draw_positions(&self, seed: u32, stream: u32, total: u32, positions: &mut GpuBuffer) {
        let words = (total as usize).div_ceil(32);
        let marks = self.zeroed(words);
        for window in self.cuts(words, &[4]) {
            let program =
                positions::mark_drawn_program([seed, stream], positions.len(), total, &window);
            self.run(&program, &[self.part(&marks, &window, 4)]);
        }
        let runs = words.div_ceil(RUN);
        let places = self.temporary(2 * runs);
        let cuts = self.cuts(runs, &[RUN * 4]);
        // The words of a cut of the runs.
        let part = |cut: &Range<usize>| cut.start * RUN..words.min(cut.end * RUN);
        for cut in &cuts {
            let words = part(cut);
            let program = positions::count_marked_program(words.len(), words.start);
            self.run(&program, &[self.part(&marks, cut, RUN * 4), places.whole()]);
        }
        self.run(&top_k::place_runs_program(runs), &[&self.selection_of(0), &places]);
        for cut in &cuts {
            let words = part(cut);
            let program = positions::write_marked_program(words.len(), words.start);
            let marks = self.part(&marks, cut, RUN * 4);
            self.run(&program, &[marks, places.whole(), positions.whole()]);
        }
    }

    fn gather(&self, x: &GpuBuffer, indices: &GpuBuffer, out: &mut GpuBuffer) {
        self.gather_words(x, 0..x.len(), indices, false, out);
    }

    fn apply_in_place(
        &self,
        indices: &GpuBuffer,
        base: &GpuBuffer,
        values: &GpuBuffer,
        weights: &mut GpuBuffer,
    ) {
        for window in self.cuts(weights.len(), &[4]) {
            let program = delta::apply_in_place_program(indices.len(), &window);
            let weights = self.part(weights, &window, 4);
            self.run(&program, &[indices.whole(), base.whole(), values.whole(), weights]);
        }
    }

    fn restore(&self, indices: &GpuBuffer, base: &GpuBuffer, weights: &mut GpuBuffer) {
        for window in self.cuts(weights.len(), &[4]) {
            let program = delta::restore_program(indices.len(), &window);
            let weights = self.part(weights, &window, 4);
            self.run(&program, &[indices.whole(), base.whole(), weights]);
        }
    }

    fn reselect(
        &self,
        indices: &mut GpuBuffer,
        values: &mut GpuBuffer,
        growth: Growth<'_, GpuBuffer>,
        count: usize,
        replaced: &mut GpuBuffer,
        at: usize,
    ) {
        self.replace_deltas(indices, values, growth, count, (replaced, at));
    }

    fn add_losses(&self, losses: &GpuBuffer, count: usize, scale: f64, loss: &mut GpuBuffer) {
        // Of the loss's two parts this device uses one.
        for part in self.cuts(count, &[4]) {
            let program = clip::add_losses_program(part.len(), scale as f32);
            self.run(&program, &[self.part(losses, &part, 4), loss.whole()]);
        }
    }

    fn clip(
        &self,
        grads: &[&GpuBuffer],
        loss: &GpuBuffer,
        max_norm: f64,
        step: u32,
        clip: &mut GpuBuffer,
    ) {
        let parts = grads.iter().flat_map(|buffer| {
            self.cuts(buffer.len(), &[4]).into_iter().map(|part| (*buffer, part))
        });
        let parts: Vec<_> = parts.collect();
        let runs = |part: &Range<usize>| part.len().div_ceil(clip::RUN);
        let total: usize = parts.iter().map(|(_, part)| runs(part)).sum();
        let sums = self.temporary(2 * total);
        let mut place = 0;
        for (buffer, part) in &parts {
            let program = clip::sum_of_squares_program(part.len(), place);
            self.run(&program, &[self.part(buffer, part, 4), sums.whole()]);
            place += runs(part);
        }
        self.run(&clip::clip_program(total, max_norm, step), &[&*sums, loss, clip]);
    }

    fn adamw(
        &self,
        update: &AdamW,
        step: u32,
        clip: &GpuBuffer,
        values: &mut GpuBuffer,
        grads: &GpuBuffer,
        exp_avg: &mut GpuBuffer,
        exp_avg_sq: &mut GpuBuffer,
    ) {
        for part in self.cuts(values.len(), &[4]) {
            let program = adamw::adamw_program(update, step, part.len());
            let [grads, values, exp_avg, exp_avg_sq] =
                [grads, values, exp_avg, exp_avg_sq].map(|buffer| self.part(buffer, &part, 4));
            self.run(&program, &[grads, values, exp_avg, exp_avg_sq, clip.whole()]);
        }
    }

    fn adamw_deltas(
        &self,
        update: &AdamW,
        clip: &GpuBuffer,
        values: &mut GpuBuffer,
        grads: &GpuBuffer,
        state: &mut AdamWState<GpuBuffer>,
    ) {
        let AdamWState { ages, exp_avg, exp_avg_sq } = state;
        let program = adamw::adamw_deltas_program(update, values.len());
        self.run(&program, &[grads, values, exp_avg, exp_avg_sq, clip, ages]);
    }

    fn sm3(
        &self,
        update: &Sm3,
        clip: &GpuBuffer,
        indices: &GpuBuffer,
        values: &mut GpuBuffer,
        grads: &GpuBuffer,
        state: &mut Sm3State<GpuBuffer>,
        scratch: &mut GpuBuffer,
    ) {
        let Sm3State { rows, columns } = state;
        let (count, width) = (indices.len(), columns.len());
        let program = sm3::sm3_estimate_program(update, count, width);
        self.run(&program, &[indices, grads, rows, columns, values, scratch, clip]);
        let program = sm3::sm3_accumulate_program(count, width);
        self.run(&program, &[indices, scratch, rows, columns, clip]);
    }
}

impl GpuDevice {
    /// `[columns, rows]` of `x [rows, columns]`.
    pub(crate) fn transpose(
        &self,
        x: &GpuBuffer,
        rows: usize,
        columns: usize,
        out: &mut GpuBuffer,
    ) {
        for top in self.cuts(rows, &[columns * 4]) {
            for left in self.cuts(columns, &[rows * 4]) {
                let program = transpose::transpose_program([rows, columns], &top, &left);
                let x = self.part(x, &top, columns * 4);
                self.run(&program, &[x, self.part(out, &left, rows * 4)]);
            }
        }
    }

    /// out[i] (+)= x[indices[i]], where x holds the words `held` alone.
    pub(super) fn gather_words(
        &self,
        x: &GpuBuffer,
        held: Range<usize>,
        indices: &GpuBuffer,
        accumulate: bool,
        out: &GpuBuffer,
    ) {
        for part in self.cuts(held.len(), &[4]) {
            let window = held.start + part.start..held.start + part.end;
            let program = delta::gather_program(indices.len(), &window, accumulate);
            self.run(&program, &[self.part(x, &part, 4), indices.whole(), out.whole()]);
        }
    }
}
