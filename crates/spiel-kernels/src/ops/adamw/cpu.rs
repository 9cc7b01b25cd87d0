use crate::parallel::{ELEMENTS_PER_TASK as TASK, chunks_mut, chunks_mut3};
use multiversion::multiversion;

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
    #[inline(always)]
    fn move_moments(&self, grad: f32, exp_avg: &mut f32, exp_avg_sq: &mut f32) {
        *exp_avg = self.beta1 as f32 * *exp_avg + (1.0 - self.beta1) as f32 * grad;
        *exp_avg_sq = self.beta2 as f32 * *exp_avg_sq + (1.0 - self.beta2) as f32 * grad * grad;
    }

    /// A weight's new value, as `torch.optim.AdamW`: it decays before its update, and epsilon is added to the corrected
    /// root. `correction` is the bias corrections of the two moments.
    #[inline(always)]
    fn weight(&self, value: f32, exp_avg: f32, exp_avg_sq: f32, correction: (f32, f32)) -> f32 {
        let denominator = exp_avg_sq.sqrt() / correction.1.sqrt() + self.epsilon as f32;
        let decayed = value - (self.learning_rate * self.weight_decay) as f32 * value;
        decayed - self.learning_rate as f32 * (exp_avg / correction.0 / denominator)
    }

    /// A delta's new value, as the reference's `SftAdamW`: epsilon is added before the root is corrected, and the
    /// updated value decays.
    #[inline(always)]
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
            let grads = &grads[task * TASK..][..values.len()];
            update_weights(update, correction, grad_scale, grads, values, exp_avg, exp_avg_sq);
        },
    );
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn update_weights(
    update: &AdamW,
    correction: (f32, f32),
    grad_scale: f32,
    grads: &[f32],
    values: &mut [f32],
    exp_avg: &mut [f32],
    exp_avg_sq: &mut [f32],
) {
    let moments = exp_avg.iter_mut().zip(exp_avg_sq);
    for ((value, grad), (exp_avg, exp_avg_sq)) in values.iter_mut().zip(grads).zip(moments) {
        update.move_moments(grad * grad_scale, exp_avg, exp_avg_sq);
        *value = update.weight(*value, *exp_avg, *exp_avg_sq, correction);
    }
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
            let mut corrections = Corrections::new(update);
            let blocks = values.chunks_mut(BLOCK).zip(grads.chunks(BLOCK)).zip(ages.chunks(BLOCK));
            let moments = exp_avg.chunks_mut(BLOCK).zip(exp_avg_sq.chunks_mut(BLOCK));
            for (((values, grads), ages), (exp_avg, exp_avg_sq)) in blocks.zip(moments) {
                let corrections = corrections.of(ages);
                update_deltas(update, corrections, grad_scale, grads, values, exp_avg, exp_avg_sq);
            }
        },
    );
    chunks_mut(ages, TASK, |_, ages| {
        for age in ages {
            *age += 1.0;
        }
    });
}

/// Deltas whose corrections are looked up before they are updated.
const BLOCK: usize = 256;

/// Ages whose corrections are remembered.
const SLOTS: usize = 64;

/// The bias corrections of a block of deltas.
struct Corrections<'a> {
    update: &'a AdamW,
    /// Those of ages that were met, by the bits of the age: powers are slow, and deltas of a few reselections, which share
    /// few ages, lie side by side.
    met: [(u32, (f32, f32)); SLOTS],
    /// Of the two moments.
    block: [[f32; BLOCK]; 2],
}

impl<'a> Corrections<'a> {
    fn new(update: &'a AdamW) -> Self {
        // No age is NaN.
        Self { update, met: [(f32::NAN.to_bits(), (0.0, 0.0)); SLOTS], block: [[0.0; BLOCK]; 2] }
    }

    fn of(&mut self, ages: &[f32]) -> [&[f32]; 2] {
        let [first, second] = &mut self.block;
        for ((age, first), second) in ages.iter().zip(first).zip(second) {
            let bits = age.to_bits();
            // The upper bits of a product spread neighbours (Knuth, The Art of Computer Programming 3, section 6.4).
            let slot = bits.wrapping_mul(0x9E37_79B1) as usize >> (32 - SLOTS.ilog2());
            let (met, correction) = &mut self.met[slot];
            if *met != bits {
                (*met, *correction) = (bits, self.update.correction(*age));
            }
            (*first, *second) = *correction;
        }
        self.block.each_ref().map(|block| &block[..ages.len()])
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn update_deltas(
    update: &AdamW,
    [first, second]: [&[f32]; 2],
    grad_scale: f32,
    grads: &[f32],
    values: &mut [f32],
    exp_avg: &mut [f32],
    exp_avg_sq: &mut [f32],
) {
    let deltas = values.iter_mut().zip(grads).zip(first.iter().zip(second));
    let moments = exp_avg.iter_mut().zip(exp_avg_sq);
    for (((value, grad), (first, second)), (exp_avg, exp_avg_sq)) in deltas.zip(moments) {
        update.move_moments(grad * grad_scale, exp_avg, exp_avg_sq);
        *value = update.delta(*value, *exp_avg, *exp_avg_sq, (*first, *second));
    }
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

    /// More than a task, of more ages than are remembered.
    #[test]
    fn every_delta_is_updated_by_its_own_age() {
        let count = TASK + BLOCK + 3;
        let start = |i: usize| (i % 311) as f32 / 3.0 + 1.0;
        let mut ages: Vec<f32> = (0..count).map(start).collect();
        let grads: Vec<f32> = (0..count).map(|i| (i % 7) as f32 - 3.0).collect();
        let [mut values, mut m, mut v] = [0.5, 0.1, 0.2].map(|x| vec![x; count]);
        adamw_deltas(&UPDATE, 0.5, &mut values, &grads, &mut ages, &mut m, &mut v);
        for i in 0..count {
            let (mut alone, mut m, mut v, mut age) = ([0.5], [0.1], [0.2], [start(i)]);
            adamw_deltas(&UPDATE, 0.5, &mut alone, &grads[i..=i], &mut age, &mut m, &mut v);
            assert_eq!((values[i], ages[i]), (alone[0], start(i) + 1.0), "{i}");
        }
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
