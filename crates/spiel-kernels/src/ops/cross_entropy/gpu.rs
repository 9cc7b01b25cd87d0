use super::Backward;
use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work, word};

/// Rows `first..first + count` of the targets. Going backward the logits become the gradient. Buffers: targets,
/// logits, losses.
#[must_use]
pub fn cross_entropy_program(
    first: usize,
    count: usize,
    vocab: usize,
    backward: Option<Backward>,
) -> Program {
    let soft_cap = backward.and_then(|backward| backward.soft_cap);
    let constants = [
        Constant::U32("REDUCE_WIDTH", 256),
        Constant::Bool("BACKWARD", backward.is_some()),
        Constant::Bool("CAPPED", soft_cap.is_some()),
    ];
    let scale = word(backward.map_or(0.0, |backward| backward.scale));
    let cap = word(soft_cap.unwrap_or(0.0));
    let params = vec![count as u32, vocab as u32, first as u32, scale, cap];
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
    let backward = |soft_cap| Some(Backward { scale: 1.0, soft_cap });
    [None, backward(None), backward(Some(30.0))]
        .map(|backward| cross_entropy_program(0, 3, 100, backward))
        .to_vec()
}
