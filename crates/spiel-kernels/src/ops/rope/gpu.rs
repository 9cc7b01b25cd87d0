use super::Direction;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work, word};

/// Buffers: rotations, x.
#[must_use]
pub fn rope_program(tokens: usize, heads: usize, head_dim: usize, direction: Direction) -> Program {
    let sign = if direction == Direction::Forward { 1.0 } else { -1.0 };
    let params = vec![tokens as u32, heads as u32, head_dim as u32, word(sign)];
    let groups = (tokens * heads * head_dim / 2).div_ceil(256);
    let entries = tokens * heads * head_dim;
    Program::new("rope", include_str!("rope.wgsl"), &[], &[Read, ReadWrite], params, groups)
        .doing(Work::new([tokens, heads, head_dim], 3, 2 * entries + tokens * head_dim))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    vec![rope_program(3, 4, 16, Direction::Backward)]
}
