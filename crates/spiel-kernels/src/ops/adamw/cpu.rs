use crate::parallel::{ELEMENTS_PER_TASK as TASK, chunks_mut, chunks_mut3};

/// The numbers of one update.
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

impl AdamW {
    /// Moves the two moments by a scaled gradient.
    #[inline]
    fn move_moments(&self, grad: f32, exp_avg: &mut f32, exp_avg_sq: &mut f32) {
        *exp_avg = self.beta1 as f32 * *exp_avg + (1.0 - self.beta1) as f32 * grad;
        *exp_avg_sq = self.beta2 as f32 * *exp_avg_sq + (1.0 - self.beta2) as f32 * grad * grad;
    }

    /// A weight's new value, as `torch.optim.AdamW`: it decays before its update, and epsilon is added to the corrected
    /// root. `correction` is the bias corrections of the two moments.
    #[inline]
    fn weight(&self, value: f32, exp_avg: f32, exp_avg_sq: f32, correction: (f32, f32)) -> f32 {
        let denominator = exp_avg_sq.sqrt() / correction.1.sqrt() + self.epsilon as f32;
        let decayed = value - (self.learning_rate * self.weight_decay) as f32 * value;
        decayed - self.learning_rate as f32 * (exp_avg / correction.0 / denominator)
    }

    /// A delta's new value, as the reference's `SftAdamW`: epsilon is added before the root is corrected, and the
    /// updated value decays.
    #[inline]
    fn delta(&self, value: f32, exp_avg: f32, exp_avg_sq: f32, correction: (f32, f32)) -> f32 {
        let denominator =
            (exp_avg_sq.sqrt() + self.epsilon as f32) * correction.0 / correction.1.sqrt();
        let stepped = value - self.learning_rate as f32 * (exp_avg / denominator);
        stepped - (self.learning_rate * self.weight_decay) as f32 * stepped
    }

    /// 1 − beta1^age and 1 − beta2^age, for ages that need not be whole.
    pub(super) fn correction(&self, age: f32) -> (f32, f32) {
        let age = f64::from(age);
        ((1.0 - self.beta1.powf(age)) as f32, (1.0 - self.beta2.powf(age)) as f32)
    }
}

/// Updates a whole tensor as `torch.optim.AdamW`; `step` counts updates from 1, and gradients count `grad_scale` times.
pub fn adamw(
    update: &AdamW,
    step: u32,
    grad_scale: f32,
    values: &mut [f32],
    grads: &[f32],
    exp_avg: &mut [f32],
    exp_avg_sq: &mut [f32],
) {
    let correction = update.correction(step as f32);
    chunks_mut3(
        (values, TASK),
        (exp_avg, TASK),
        (exp_avg_sq, TASK),
        |task, values, exp_avg, exp_avg_sq| {
            let grads = &grads[task * TASK..];
            for i in 0..values.len() {
                update.move_moments(grads[i] * grad_scale, &mut exp_avg[i], &mut exp_avg_sq[i]);
                values[i] = update.weight(values[i], exp_avg[i], exp_avg_sq[i], correction);
            }
        },
    );
}

/// Updates deltas by their own ages, then advances the ages: the reference's `SftAdamW.step`.
pub fn adamw_deltas(
    update: &AdamW,
    grad_scale: f32,
    values: &mut [f32],
    grads: &[f32],
    ages: &mut [f32],
    exp_avg: &mut [f32],
    exp_avg_sq: &mut [f32],
) {
    chunks_mut3(
        (values, TASK),
        (exp_avg, TASK),
        (exp_avg_sq, TASK),
        |task, values, exp_avg, exp_avg_sq| {
            let (grads, ages) = (&grads[task * TASK..], &ages[task * TASK..]);
            // Most neighbours share an age, whose powers are slow.
            let (mut age, mut correction) = (f32::NAN, (0.0, 0.0));
            for i in 0..values.len() {
                if ages[i].to_bits() != age.to_bits() {
                    age = ages[i];
                    correction = update.correction(age);
                }
                update.move_moments(grads[i] * grad_scale, &mut exp_avg[i], &mut exp_avg_sq[i]);
                values[i] = update.delta(values[i], exp_avg[i], exp_avg_sq[i], correction);
            }
        },
    );
    chunks_mut(ages, TASK, |_, ages| {
        for age in ages {
            *age += 1.0;
        }
    });
}

/// What a grown delta starts with: the window's statistics as if the delta had been updated by them.
///
/// With n samples in steps of `accumulation` micro-batches the age is n / accumulation, and the moments are the
/// means of g and g² times their bias corrections (the reference's `update_optimizer`, whose scale is kept).
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    /// The age of every grown delta.
    pub age: f32,
    samples: f32,
    correction: (f32, f32),
}

impl Seed {
    /// The seed of a window of `samples` micro-batches.
    #[must_use]
    pub fn new(samples: u32, accumulation: u32, beta1: f64, beta2: f64) -> Self {
        let age = f64::from(samples) / f64::from(accumulation);
        let correction = ((1.0 - beta1.powf(age)) as f32, (1.0 - beta2.powf(age)) as f32);
        Self { age: age as f32, samples: samples as f32, correction }
    }

    /// The factors of Σ g and Σ g² in the two moments.
    #[must_use]
    pub fn factors(&self) -> (f32, f32) {
        (self.correction.0 / self.samples, self.correction.1 / self.samples)
    }

    /// The first moment from Σ g.
    #[must_use]
    pub fn exp_avg(&self, grads: f32) -> f32 {
        grads / self.samples * self.correction.0
    }

    /// The second moment from Σ g².
    #[must_use]
    pub fn exp_avg_sq(&self, grads_sq: f32) -> f32 {
        grads_sq / self.samples * self.correction.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: AdamW =
        AdamW { learning_rate: 0.1, weight_decay: 0.0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

    #[test]
    fn the_first_step_moves_by_the_learning_rate() {
        let (mut values, mut m, mut v, mut ages) = ([1.0, 1.0], [0.0; 2], [0.0; 2], [1.0; 2]);
        adamw_deltas(&UPDATE, 0.5, &mut values, &[3.0, -0.2], &mut ages, &mut m, &mut v);
        assert!((values[0] - 0.9).abs() < 1e-6 && (values[1] - 1.1).abs() < 1e-6);
        assert_eq!(ages, [2.0, 2.0]);
    }

    /// Four steps of both formulas in double precision, with an epsilon and a decay that show their order.
    #[test]
    fn weights_follow_pytorch_and_deltas_the_reference() {
        let update = AdamW { weight_decay: 0.2, epsilon: 0.05, ..UPDATE };
        let (lr, decay) = (update.learning_rate, update.learning_rate * update.weight_decay);
        let (mut a, mut am, mut av) = ([0.5], [0.0], [0.0]);
        let (mut b, mut bm, mut bv, mut ages) = ([0.5], [0.0], [0.0], [1.0]);
        let (mut weight, mut delta, mut m, mut v) = (0.5_f64, 0.5_f64, 0.0, 0.0);
        for (step, grad) in [(1, 0.3_f32), (2, -0.1), (3, 0.2), (4, 0.05)] {
            adamw(&update, step, 1.0, &mut a, &[grad], &mut am, &mut av);
            adamw_deltas(&update, 1.0, &mut b, &[grad], &mut ages, &mut bm, &mut bv);
            let g = f64::from(grad);
            m = update.beta1 * m + (1.0 - update.beta1) * g;
            v = update.beta2 * v + (1.0 - update.beta2) * g * g;
            let (c1, c2) =
                (1.0 - update.beta1.powf(step.into()), 1.0 - update.beta2.powf(step.into()));
            weight *= 1.0 - decay;
            weight -= lr / c1 * m / (v.sqrt() / c2.sqrt() + update.epsilon);
            delta -= lr * c2.sqrt() / c1 * m / (v.sqrt() + update.epsilon);
            delta -= decay * delta;
        }
        assert!((f64::from(a[0]) - weight).abs() < 1e-6, "{} {weight}", a[0]);
        assert!((f64::from(b[0]) - delta).abs() < 1e-6, "{} {delta}", b[0]);
        assert!((weight - delta).abs() > 1e-2 && am == bm && av == bv);
    }
}
