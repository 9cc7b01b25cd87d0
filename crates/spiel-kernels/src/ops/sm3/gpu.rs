use super::Sm3;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work, word};

/// Buffers: indices, grads, rows, columns, values, estimates, clip.
#[must_use]
pub fn sm3_estimate_program(update: &Sm3, count: usize, width: usize) -> Program {
    let decay = update.learning_rate * update.weight_decay;
    let floats = [update.learning_rate, decay, update.epsilon];
    let words = floats.map(|x| word(x as f32));
    let params = [count as u32, width as u32].into_iter().chain(words).collect();
    let text = include_str!("sm3_estimate.wgsl");
    let buffers = &[Read, Read, Read, Read, ReadWrite, ReadWrite, Read];
    Program::new("sm3_estimate", text, &[], buffers, params, count.div_ceil(256)).doing(Work::new(
        [count],
        11,
        7 * count,
    ))
}

/// Buffers: indices, estimates, rows, columns, clip.
#[must_use]
pub fn sm3_accumulate_program(count: usize, width: usize) -> Program {
    let text = include_str!("sm3_accumulate.wgsl");
    let buffers = &[Read, Read, ReadWrite, ReadWrite, Read];
    let params = vec![count as u32, width as u32];
    Program::new("sm3_accumulate", text, &[], buffers, params, count.div_ceil(256))
        .doing(Work::new([count], 0, 6 * count))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    let update = Sm3 { learning_rate: 0.1, weight_decay: 0.1, epsilon: 1e-8 };
    vec![sm3_estimate_program(&update, 9, 64), sm3_accumulate_program(9, 64)]
}
