use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work, word};

/// Elements of one partial sum.
pub const RUN: usize = 4096;

const LANES: Constant = Constant::U32("REDUCE_WIDTH", 256);

/// Writes a scaled sum per run, from `place` on. Buffers: x, sums `[runs, 2]`.
#[must_use]
pub fn sum_of_squares_program(count: usize, place: usize) -> Program {
    let text = include_str!("sum_of_squares.wgsl");
    let (buffers, params) = (&[Read, ReadWrite], vec![count as u32, place as u32]);
    let runs = count.div_ceil(RUN);
    Program::new("sum_of_squares", text, &[LANES], buffers, params, runs).doing(Work::new(
        [count],
        3,
        count + 2 * runs,
    ))
}

/// Adds `scale` times the sum of `count` losses. Buffers: losses, loss.
#[must_use]
pub fn add_losses_program(count: usize, scale: f32) -> Program {
    let text = include_str!("add_losses.wgsl");
    let params = vec![count as u32, word(scale)];
    Program::new("add_losses", text, &[LANES], &[Read, ReadWrite], params, 1).doing(Work::new(
        [count],
        1,
        count + 2,
    ))
}

/// What follows for update `step` from `count` partial sums and the loss. Buffers: sums `[count, 2]`, loss, clip.
#[must_use]
pub fn clip_program(count: usize, max_norm: f64, step: u32) -> Program {
    let params = vec![count as u32, step, word(max_norm as f32)];
    let text = include_str!("clip.wgsl");
    Program::new("clip", text, &[LANES], &[Read, Read, ReadWrite], params, 1).doing(Work::new(
        [count.max(1)],
        2,
        2 * count + 8,
    ))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    vec![sum_of_squares_program(9, 0), add_losses_program(9, 1.0), clip_program(9, 1.0, 1)]
}
