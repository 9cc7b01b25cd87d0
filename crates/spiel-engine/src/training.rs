//! Requests that change what is trained: attaching deltas, reselection, optimiser steps.

use crate::delta::{Delta, DeltaState, DeltaTraining};
use crate::device::{Device, Growth};
use crate::error::{EngineError, Result, invalid, out_of_order};
use crate::model::workspace::UpdateBuffers;
use crate::protocol::{
    GradientTrial, GradientTrials, GrowthCriterion, ModuleReselection, Optimizer, OptimizerUpdate,
    Reselection, Trainable, UpdateInfo,
};
use crate::session::Session;
use spiel_kernels::ops::adamw::{AdamW, Seed};
use spiel_kernels::ops::clip::Clip;
use spiel_kernels::ops::reselect::replaceable;
use spiel_kernels::ops::sm3::Sm3;
use std::collections::BTreeSet;

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

    /// Measures how gradients at the deltas are computed best, once for each size of module.
    pub(crate) async fn try_gradients(&mut self) -> Result<GradientTrials> {
        let Self { device, model, workspace, .. } = self;
        let (tokens, scratch) = (workspace.tokens, &mut workspace.block.linear);
        let mut tried = BTreeSet::new();
        let mut trials = Vec::new();
        for linear in model.linears() {
            let Some(delta) = linear.delta.as_ref().filter(|delta| delta.attached) else {
                continue;
            };
            let shape = linear.weight.linear_shape(tokens);
            if delta.training.is_none() || !tried.insert((shape.inputs, shape.outputs, delta.count))
            {
                continue;
            }
            let trial = device.try_gradients(&delta.indices, shape, &mut scratch.sampling).await?;
            trials.extend(trial.map(|trial| GradientTrial {
                inputs: shape.inputs as u32,
                outputs: shape.outputs as u32,
                deltas: delta.count as u32,
                sampled_seconds: trial.sampled_seconds,
                dense_seconds: trial.dense_seconds,
                dense: trial.dense,
            }));
        }
        Ok(GradientTrials { trials })
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
        let fits = match plan.criterion {
            GrowthCriterion::AccumulatedGradients => self.options.candidates,
            GrowthCriterion::MomentumApproximation => self.options.optimizer == Optimizer::Sm3,
        };
        if !fits || self.options.trainable != Trainable::Deltas {
            return Err(out_of_order!(
                "Cannot reselect by {:?}: the model was created for other training",
                plan.criterion
            ));
        }
        let samples = match plan.criterion {
            GrowthCriterion::MomentumApproximation => 0,
            GrowthCriterion::AccumulatedGradients => {
                self.window_samples.filter(|samples| *samples > 0).ok_or_else(|| {
                    out_of_order!("Cannot reselect: no open window has seen a micro-batch")
                })?
            }
        };
        let seed = Seed::new(samples, plan.gradient_accumulation_steps, plan.betas.0, plan.betas.1);
        let Self { device, model, workspace, .. } = self;
        device.clear(&mut workspace.updates.replaced);
        let mut modules = Vec::new();
        for linear in model.linears_mut() {
            let shape = linear.weight.linear_shape(0);
            let Some(delta) = linear.delta.as_mut().filter(|delta| delta.attached) else {
                continue;
            };
            let requested = (delta.count as f64 * plan.rate) as usize;
            let count = match plan.criterion {
                // Ranks may run out of positions, candidates never do: the active ones among them are passed over.
                GrowthCriterion::MomentumApproximation => {
                    replaceable(requested, delta.count, linear.weight.elements())
                }
                GrowthCriterion::AccumulatedGradients => requested,
            };
            let Delta { indices, values, base, training, .. } = delta;
            let (grads, growth) = match (plan.criterion, training) {
                (
                    GrowthCriterion::AccumulatedGradients,
                    Some(DeltaTraining {
                        grads,
                        state: DeltaState::AdamW(state),
                        candidates: Some(candidates),
                    }),
                ) => (grads, Growth::AccumulatedGradients { candidates, state, seed }),
                (
                    GrowthCriterion::MomentumApproximation,
                    Some(DeltaTraining { grads, state: DeltaState::Sm3(state), .. }),
                ) => {
                    let scratch = &mut workspace.block.linear.weights;
                    (grads, Growth::MomentumApproximation { state, shape, scratch })
                }
                _ => {
                    let (module, criterion) = (&linear.module, plan.criterion);
                    return Err(EngineError::Internal(format!(
                        "deltas of \"{module}\" lack what {criterion:?} needs"
                    )));
                }
            };
            if let Some(base) = base {
                device.restore(indices, base, &mut linear.weight.data);
            }
            let (replaced, at) = (&mut workspace.updates.replaced, 2 * modules.len());
            device.reselect(indices, values, growth, count, replaced, at);
            device.clear(grads);
            delta.keep_base(device, &mut linear.weight);
            modules.push(ModuleReselection {
                module: linear.module.clone(),
                requested: requested as u32,
                replaced: 0,
            });
        }
        let bytes = device.read(&workspace.updates.replaced, 0, modules.len() * 8).await?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        for (module, [_, replaced]) in modules.iter_mut().zip(words.as_chunks().0) {
            module.replaced = *replaced;
        }
        self.window_samples = None;
        Ok(Reselection { modules })
    }

    /// The last update's loss and gradients' norm, and the first update that was skipped.
    pub(crate) async fn update_info(&self) -> Result<UpdateInfo> {
        if self.options.trainable == Trainable::Nothing {
            return Err(out_of_order!("The model was created with nothing to train"));
        }
        let clip = &self.workspace.updates.clip;
        let bytes = self.device.read(clip, 0, Clip::WORDS * 4).await?;
        let mut words = [0; Clip::WORDS];
        words.copy_from_slice(&bytemuck::pod_collect_to_vec::<u8, u32>(&bytes));
        let Clip { loss, norm, failed_step, .. } = Clip::from_words(words);
        let [loss, grad_norm] = [loss, norm].map(|number| Some(number).filter(|x| x.is_finite()));
        let failed_step = Some(failed_step).filter(|step| *step > 0);
        Ok(UpdateInfo { loss, grad_norm, failed_step })
    }

    /// Scales the gradients as their norm asks for, updates everything that is trained, and clears the gradients.
    ///
    /// The device may still be busy with it, but no further behind than with the update before.
    pub(crate) async fn optimizer_step(&mut self, update: &OptimizerUpdate) -> Result<()> {
        if update.step == 0 {
            return Err(invalid!("Update 0, expected steps to be counted from 1"));
        }
        let deltas = self.model.linears().filter_map(|linear| linear.delta.as_ref());
        let deltas = deltas.filter_map(|delta| delta.training.as_ref());
        let tensors = self.model.tensors().filter_map(|tensor| tensor.trained.as_ref());
        let grads = deltas.map(|training| &training.grads);
        let grads: Vec<_> = grads.chain(tensors.map(|trained| &trained.grads)).collect();
        let UpdateBuffers { loss, clip, .. } = &mut self.workspace.updates;
        self.device.clip(&grads, loss, update.max_grad_norm, update.step, clip);
        self.apply_update(update);
        self.grad_clear();
        self.device.keep_up().await
    }

    fn apply_update(&mut self, update: &OptimizerUpdate) {
        let OptimizerUpdate { learning_rate, weight_decay, beta1, beta2, epsilon, step, .. } =
            *update;
        let adamw = AdamW { learning_rate, weight_decay, beta1, beta2, epsilon };
        let sm3 = Sm3 { learning_rate, weight_decay, epsilon };
        let Self { device, model, workspace, .. } = self;
        let clip = &workspace.updates.clip;
        for linear in model.linears_mut() {
            let Some(delta) = linear.delta.as_mut().filter(|delta| delta.attached) else {
                continue;
            };
            let Some(training) = &mut delta.training else { continue };
            match &mut training.state {
                DeltaState::AdamW(state) => {
                    device.adamw_deltas(&adamw, clip, &mut delta.values, &training.grads, state);
                }
                DeltaState::Sm3(state) => {
                    let scratch = &mut workspace.block.linear.sampling.samples;
                    device.sm3(
                        &sm3,
                        clip,
                        &delta.indices,
                        &mut delta.values,
                        &training.grads,
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
            // Norms and biases do not decay, as is usual: zero is no resting place for a gain.
            let decay = if tensor.is_vector { 0.0 } else { weight_decay };
            let adamw = AdamW { weight_decay: decay, ..adamw };
            device.adamw(&adamw, step, clip, &mut tensor.data, &trained.grads, exp_avg, exp_avg_sq);
        }
    }

    /// Clears the gradients, and forgets that an update was skipped, so that others are made again.
    pub(crate) fn start_anew(&mut self) {
        self.grad_clear();
        self.device.clear(&mut self.workspace.updates.clip);
    }

    /// Clears the gradients and the loss that they are of.
    pub(crate) fn grad_clear(&mut self) {
        let Self { device, model, workspace, .. } = self;
        device.clear(&mut workspace.updates.loss);
        let deltas = model.linears_mut().filter_map(|linear| linear.delta.as_mut());
        for training in deltas.filter_map(|delta| delta.training.as_mut()) {
            device.clear(&mut training.grads);
        }
        for trained in model.tensors_mut().filter_map(|tensor| tensor.trained.as_mut()) {
            device.clear(&mut trained.grads);
        }
    }
}
