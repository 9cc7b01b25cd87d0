use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work};

/// Elements of one partial sum.
pub const RUN: usize = 4096;

/// Writes a sum per run, from `place` on. Buffers: x, sums.
#[must_use]
pub fn sum_of_squares_program(count: usize, place: usize) -> Program {
    let constants = [Constant::U32("REDUCE_WIDTH", 256)];
    let text = include_str!("sum_of_squares.wgsl");
    let (buffers, params) = (&[Read, ReadWrite], vec![count as u32, place as u32]);
    let runs = count.div_ceil(RUN);
    Program::new("sum_of_squares", text, &constants, buffers, params, runs).doing(Work::new(
        [count],
        2 * count,
        count + runs,
    ))
}
