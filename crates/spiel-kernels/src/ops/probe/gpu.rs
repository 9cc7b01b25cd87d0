use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work, word};

/// Words that the copying probe moves: more than caches hold, and no more than every device binds.
pub const COPY_WORDS: usize = 32 << 20;

/// Workgroups that keep a large GPU busy.
const GROUPS: usize = 2048;
const INVOCATIONS: usize = 256;
/// Words that the arithmetic's probe writes.
pub const FMA_SUMS: usize = GROUPS * INVOCATIONS;

const ROUNDS: usize = 128;
/// Multiply-adds of an invocation in a round: four steps of four chains of four.
const STEPS: usize = 64;

/// Multiply-adds on registers alone. Buffers: sums, one per invocation.
#[must_use]
pub fn fma_probe_program() -> Program {
    // Factors below one keep the sums finite; as parameters, they are not folded into the text.
    let params = vec![ROUNDS as u32, word(0.999), word(0.001)];
    let text = include_str!("fma_probe.wgsl");
    Program::new("fma_probe", text, &[], &[ReadWrite], params, GROUPS).doing(Work::new(
        [FMA_SUMS, ROUNDS],
        2 * STEPS as u64,
        FMA_SUMS,
    ))
}

/// Buffers: from, to, of `words` words, a multiple of four.
#[must_use]
pub fn copy_probe_program(words: usize) -> Program {
    let vectors = words / 4;
    let text = include_str!("copy_probe.wgsl");
    let groups = vectors.div_ceil(INVOCATIONS);
    Program::new("copy_probe", text, &[], &[Read, ReadWrite], vec![vectors as u32], groups)
        .doing(Work::new([words], 0, 2 * words))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    vec![fma_probe_program(), copy_probe_program(64)]
}
