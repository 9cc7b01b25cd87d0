//! Operations on what is trained, by the kernels' CPU functions.

use super::{CpuDevice, Words, work};
use crate::device::{
    AdamWState, CandidateState, Growth, Memory, ModuleSize, SampledLayer, SamplingScratch,
    Sm3State, TrainingOps,
};
use spiel_kernels::ops::adamw::{self, AdamW};
use spiel_kernels::ops::clip::{self, Clip, from_parts, to_parts};
use spiel_kernels::ops::delta::Slots;
use spiel_kernels::ops::reselect::{self, Candidates};
use spiel_kernels::ops::sm3::{self, Sm3};
use spiel_kernels::ops::{delta, top_k};
use spiel_kernels::parallel::{ELEMENTS_PER_TASK as TASK, chunks_mut, chunks_mut2, map};
use spiel_kernels::random;
use std::mem::take;

impl TrainingOps for CpuDevice {
    fn sampling_words(
        &self,
        tokens: usize,
        layers: &[ModuleSize],
        candidates: bool,
    ) -> SamplingScratch<usize> {
        let most = |of: fn(&ModuleSize) -> usize| layers.iter().map(of).max().unwrap_or(0);
        let shape = [tokens, most(|layer| layer.inputs)];
        // In a window there are twice the slots, which may be so many that they need no sums.
        let words = |lists: usize| {
            let slots = layers.iter().map(|layer| (layer.outputs, lists * layer.deltas));
            delta::sampling_words(self.threads(), shape, slots)
        };
        let [x_t, grad_y_t, sums] = words(1);
        let at_candidates = if candidates {
            layers.iter().map(|layer| layer.deltas).sum::<usize>() + words(2)[2]
        } else {
            0
        };
        let samples = sums.max(at_candidates).max(most(|layer| layer.deltas));
        SamplingScratch { x_t, grad_y_t, samples }
    }

    fn sampled_gradients(
        &self,
        x: &Words,
        tokens: usize,
        inputs: usize,
        layers: &mut [SampledLayer<'_, Words>],
        scratch: &mut SamplingScratch<Words>,
    ) {
        let SamplingScratch { x_t, grad_y_t, samples } = scratch;
        let candidates = layers.iter().filter_map(|layer| layer.candidates.as_ref());
        let at_candidates = candidates.map(|candidates| candidates.indices.0.len()).sum();
        let (sampled, sums) = samples.floats_mut().split_at_mut(at_candidates);
        sampled.fill(0.0);
        let mut rest = &mut *sampled;
        let (mut all_outputs, mut slots) = (0, at_candidates);
        let mut sampled_layers = Vec::new();
        for SampledLayer { grad_y, outputs, indices, grads, candidates } in &mut *layers {
            let mut lists = vec![Slots { indices: &indices.0, grads: grads.floats_mut() }];
            if let Some(candidates) = candidates {
                let indices = &candidates.indices.0;
                let (grads, others) = take(&mut rest).split_at_mut(indices.len());
                lists.push(Slots { indices, grads });
                rest = others;
            }
            all_outputs += *outputs;
            slots += indices.0.len();
            let grad_y = grad_y.floats();
            sampled_layers.push(delta::SampledLayer { grad_y, outputs: *outputs, lists });
        }
        let (x_t, grad_y_t) = (x_t.floats_mut(), grad_y_t.floats_mut());
        let scratch = delta::SamplingScratch { x_t, grad_y_t, sums };
        let work = || work::sampled_gradient([tokens, inputs, all_outputs], slots);
        self.perform("sampled_gradient", work, || {
            delta::sampled_gradients(x.floats(), [tokens, inputs], sampled_layers, scratch);
        });
        let mut rest = &*sampled;
        for candidates in layers.iter_mut().filter_map(|layer| layer.candidates.as_mut()) {
            let (sample, others) = rest.split_at(candidates.indices.0.len());
            self.accumulate(sample, candidates);
            rest = others;
        }
    }

    fn choose_candidates(
        &self,
        gradient: &Words,
        elements: usize,
        candidates: &mut CandidateState<Words>,
    ) {
        let gradient = &gradient.floats()[..elements];
        let count = candidates.indices.0.len();
        let CandidateState { indices, grads, grads_sq } = candidates;
        self.perform(
            "choose_candidates",
            || work::choose_candidates(elements, count),
            || {
                let chosen =
                    top_k::largest(elements, count, |at| top_k::magnitude_key(gradient[at]));
                // Copied, since new lists in the place of planned ones would scatter what is free.
                indices.0.copy_from_slice(&chosen);
                delta::gather(gradient, &indices.0, grads.floats_mut());
                let grads = grads.floats();
                chunks_mut(grads_sq.floats_mut(), TASK, |task, squares| {
                    for (square, grad) in squares.iter_mut().zip(&grads[task * TASK..]) {
                        *square = grad * grad;
                    }
                });
            },
        );
    }

    fn draw_positions(&self, seed: u32, stream: u32, total: u32, positions: &mut Words) {
        let count = positions.0.len();
        let drawn = self.run("draw_positions", || random::positions(seed, stream, count, total));
        positions.0.copy_from_slice(&drawn);
    }

    fn gather(&self, x: &Words, indices: &Words, out: &mut Words) {
        let work = || delta::gather_program(indices.0.len(), &(0..0), false).work;
        self.perform("gather", work, || {
            delta::gather(x.floats(), &indices.0, out.floats_mut());
        });
    }

    fn apply_in_place(&self, indices: &Words, base: &Words, values: &Words, weights: &mut Words) {
        let (base, values, weights) = (base.floats(), values.floats(), weights.floats_mut());
        let work = || delta::apply_in_place_program(indices.0.len(), &(0..0)).work;
        self.perform("apply_in_place", work, || {
            delta::apply_in_place(&indices.0, base, values, weights);
        });
    }

    fn restore(&self, indices: &Words, base: &Words, weights: &mut Words) {
        let work = || delta::restore_program(indices.0.len(), &(0..0)).work;
        self.perform("restore", work, || {
            delta::restore(&indices.0, base.floats(), weights.floats_mut());
        });
    }

    fn reselect(
        &self,
        indices: &mut Words,
        values: &mut Words,
        growth: Growth<'_, Words>,
        count: usize,
        replaced: &mut Words,
        at: usize,
    ) {
        let grown = self.run("reselect", || {
            let (replacement, order) = match growth {
                Growth::AccumulatedGradients { candidates, state, seed } => {
                    let (grads, grads_sq) =
                        (candidates.grads.floats(), candidates.grads_sq.floats());
                    let found = Candidates { indices: &candidates.indices.0, grads };
                    let values = values.floats();
                    let replacement =
                        reselect::reselect_accumulated_gradients(&indices.0, values, found, count);
                    let order = reselect::merge_order(&indices.0, &replacement);
                    let source = |number: usize| replacement.sources[number] as usize;
                    reselect::rearrange(&order, state.ages.floats_mut(), |_| seed.age);
                    reselect::rearrange(&order, state.exp_avg.floats_mut(), |n| {
                        seed.exp_avg(grads[source(n)])
                    });
                    reselect::rearrange(&order, state.exp_avg_sq.floats_mut(), |n| {
                        seed.exp_avg_sq(grads_sq[source(n)])
                    });
                    (replacement, order)
                }
                Growth::MomentumApproximation { state, shape, scratch } => {
                    let keys = &mut scratch.0[..shape.inputs * shape.outputs];
                    let (rows, columns) = (state.rows.floats(), state.columns.floats());
                    reselect::momentum_keys(&indices.0, rows, columns, keys);
                    let replacement =
                        reselect::reselect_momentum_approximation(values.floats(), keys, count);
                    let order = reselect::merge_order(&indices.0, &replacement);
                    (replacement, order)
                }
            };
            reselect::rearrange(&order, values.floats_mut(), |_| 0.0);
            reselect::rearrange(&order, &mut indices.0, |number| replacement.grown[number]);
            replacement.grown.len()
        });
        replaced.0[at + 1] = grown as u32;
    }

    fn add_losses(&self, losses: &Words, count: usize, scale: f64, loss: &mut Words) {
        let losses = &losses.floats()[..count];
        let work = || clip::add_losses_program(count, scale as f32).work;
        let sum: f64 =
            self.perform("add_losses", work, || losses.iter().map(|loss| f64::from(*loss)).sum());
        let total = number_in(loss) + scale * sum;
        loss.0[..2].copy_from_slice(&to_parts(total));
    }

    fn clip(&self, grads: &[&Words], loss: &Words, max_norm: f64, step: u32, clip: &mut Words) {
        let sum: f64 = grads.iter().map(|grads| self.sum_of_squares(grads.floats())).sum();
        let next = clip_in(clip).after(number_in(loss), sum.sqrt(), max_norm, step);
        clip.0[..Clip::WORDS].copy_from_slice(&next.to_words());
    }

    fn adamw(
        &self,
        update: &AdamW,
        step: u32,
        clip: &Words,
        values: &mut Words,
        grads: &Words,
        exp_avg: &mut Words,
        exp_avg_sq: &mut Words,
    ) {
        let Some(scale) = clip_in(clip).scale() else { return };
        let (values, grads) = (values.floats_mut(), grads.floats());
        let (exp_avg, exp_avg_sq) = (exp_avg.floats_mut(), exp_avg_sq.floats_mut());
        let work = || adamw::adamw_program(update, step, grads.len()).work;
        self.perform("adamw", work, || {
            adamw::adamw(update, step, scale, values, grads, exp_avg, exp_avg_sq);
        });
    }

    fn adamw_deltas(
        &self,
        update: &AdamW,
        clip: &Words,
        values: &mut Words,
        grads: &Words,
        state: &mut AdamWState<Words>,
    ) {
        let Some(scale) = clip_in(clip).scale() else { return };
        let (values, grads, ages) = (values.floats_mut(), grads.floats(), state.ages.floats_mut());
        let (exp_avg, exp_avg_sq) = (state.exp_avg.floats_mut(), state.exp_avg_sq.floats_mut());
        let work = || adamw::adamw_deltas_program(update, grads.len()).work;
        self.perform("adamw_deltas", work, || {
            adamw::adamw_deltas(update, scale, values, grads, ages, exp_avg, exp_avg_sq);
        });
    }

    fn sm3(
        &self,
        update: &Sm3,
        clip: &Words,
        indices: &Words,
        values: &mut Words,
        grads: &Words,
        state: &mut Sm3State<Words>,
        scratch: &mut Words,
    ) {
        let Some(scale) = clip_in(clip).scale() else { return };
        let estimates = &mut scratch.floats_mut()[..indices.0.len()];
        let (values, grads) = (values.floats_mut(), grads.floats());
        let (rows, columns) = (state.rows.floats_mut(), state.columns.floats_mut());
        let (count, width) = (grads.len(), columns.len());
        let work = || work::sm3(update, count, width);
        self.perform("sm3", work, || {
            sm3::sm3(update, scale, &indices.0, values, grads, rows, columns, estimates);
        });
    }
}

impl CpuDevice {
    /// Adds a sample of the gradient at candidates, and its square.
    fn accumulate(&self, sample: &[f32], candidates: &mut CandidateState<Words>) {
        let (grads, squares) = (candidates.grads.floats_mut(), candidates.grads_sq.floats_mut());
        let work = || delta::accumulate_candidates_program(sample.len()).work;
        self.perform("accumulate_candidates", work, || {
            chunks_mut2((grads, TASK), (squares, TASK), |task, grads, squares| {
                let sample = &sample[task * TASK..];
                for i in 0..grads.len() {
                    grads[i] += sample[i];
                    squares[i] += sample[i] * sample[i];
                }
            });
        });
    }

    /// Σ x², in double precision.
    fn sum_of_squares(&self, x: &[f32]) -> f64 {
        let work = || clip::sum_of_squares_program(x.len(), 0).work;
        let parts = self.perform("sum_of_squares", work, || {
            map(x.len().div_ceil(TASK), |task| {
                let chunk = &x[task * TASK..((task + 1) * TASK).min(x.len())];
                chunk.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>()
            })
        });
        parts.iter().sum()
    }
}

/// A number in two parts.
fn number_in(words: &Words) -> f64 {
    from_parts([words.0[0], words.0[1]])
}

/// What lies in memory, of which only that many words are read.
fn clip_in(words: &Words) -> Clip {
    let mut clip = [0; Clip::WORDS];
    clip.copy_from_slice(&words.0[..Clip::WORDS]);
    Clip::from_words(clip)
}
