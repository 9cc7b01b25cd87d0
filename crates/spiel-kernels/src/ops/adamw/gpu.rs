use super::AdamW;
use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work, word};

/// Whole tensors at one step, counted from 1. Buffers: grads, values, first and second moments, clip.
#[must_use]
pub fn adamw_program(update: &AdamW, step: u32, count: usize) -> Program {
    let rule = Constant::Part("rule", include_str!("weight.wgsl"));
    let buffers = &[Read, ReadWrite, ReadWrite, ReadWrite, Read];
    program(update, update.correction(step as f32), count, rule, buffers).doing(Work::new(
        [count],
        18,
        7 * count,
    ))
}

/// Deltas by their own ages. Buffers: grads, values, first and second moments, clip,
/// ages.
#[must_use]
pub fn adamw_deltas_program(update: &AdamW, count: usize) -> Program {
    let rule = Constant::Part("rule", include_str!("delta.wgsl"));
    let buffers = &[Read, ReadWrite, ReadWrite, ReadWrite, Read, ReadWrite];
    program(update, (0.0, 0.0), count, rule, buffers).doing(Work::new([count], 27, 9 * count))
}

fn program(
    update: &AdamW,
    correction: (f32, f32),
    count: usize,
    rule: Constant,
    buffers: &'static [crate::program::Access],
) -> Program {
    let floats = [
        update.learning_rate,
        update.learning_rate * update.weight_decay,
        update.beta1,
        update.beta2,
        1.0 - update.beta1,
        1.0 - update.beta2,
        update.epsilon,
        f64::from(correction.0),
        f64::from(correction.1),
        update.beta1.log2(),
        update.beta2.log2(),
    ];
    let words = floats.map(|x| word(x as f32));
    let params = std::iter::once(count as u32).chain(words).collect();
    let text = include_str!("adamw.wgsl");
    Program::new("adamw", text, &[rule], buffers, params, count.div_ceil(256))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    let update =
        AdamW { learning_rate: 0.1, weight_decay: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    vec![adamw_program(&update, 1, 9), adamw_deltas_program(&update, 9)]
}
