use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work, word};

/// Rows `first..first + count` of the targets. With a scale the logits become their gradient. Buffers: targets,
/// logits, losses.
#[must_use]
pub fn cross_entropy_program(
    first: usize,
    count: usize,
    vocab: usize,
    backward: Option<f32>,
) -> Program {
    let constants =
        [Constant::U32("REDUCE_WIDTH", 256), Constant::Bool("BACKWARD", backward.is_some())];
    let scale = word(backward.unwrap_or(0.0));
    let params = vec![count as u32, vocab as u32, first as u32, scale];
    let text = include_str!("cross_entropy.wgsl");
    let (logits, is_backward) = (count * vocab, backward.is_some());
    let (flops, passes) = if is_backward { (9, 2) } else { (4, 1) };
    let work = Work::new([count, vocab], flops, passes * logits + 2 * count);
    Program::new("cross_entropy", text, &constants, &[Read, ReadWrite, ReadWrite], params, count)
        .doing(work)
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    [None, Some(1.0)].map(|backward| cross_entropy_program(0, 3, 100, backward)).to_vec()
}
