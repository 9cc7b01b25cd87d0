use crate::assemble::Constant;
use crate::formats::Format;
use crate::program::Access::{Read, ReadWrite};
use crate::program::Program;

/// Decodes `count` weights. Buffers: stored, weights.
#[must_use]
pub fn materialise_program(format: Format, count: usize) -> Program {
    let constants = [Constant::Part("weight", format.wgsl())];
    let text = include_str!("materialise.wgsl");
    let groups = count.div_ceil(8).div_ceil(256);
    Program::new("materialise", text, &constants, &[Read, ReadWrite], vec![count as u32], groups)
}

/// Buffers: indices, values, weights.
#[must_use]
pub fn add_deltas_program(count: usize) -> Program {
    let buffers = &[Read, Read, ReadWrite];
    let text = include_str!("add_deltas.wgsl");
    Program::new("add_deltas", text, &[], buffers, vec![count as u32], count.div_ceil(256))
}

/// Buffers: indices, base, values, weights.
#[must_use]
pub fn apply_in_place_program(count: usize) -> Program {
    let buffers = &[Read, Read, Read, ReadWrite];
    let text = include_str!("apply_in_place.wgsl");
    Program::new("apply_in_place", text, &[], buffers, vec![count as u32], count.div_ceil(256))
}

/// Buffers: indices, base, weights.
#[must_use]
pub fn restore_program(count: usize) -> Program {
    let buffers = &[Read, Read, ReadWrite];
    let text = include_str!("restore.wgsl");
    Program::new("restore", text, &[], buffers, vec![count as u32], count.div_ceil(256))
}

/// Buffers: x, indices, out.
#[must_use]
pub fn gather_program(count: usize) -> Program {
    let buffers = &[Read, Read, ReadWrite];
    let text = include_str!("gather.wgsl");
    Program::new("gather", text, &[], buffers, vec![count as u32], count.div_ceil(256))
}

/// Buffers: indices, `x_t`, `grad_y_t`, grads.
#[must_use]
pub fn sampled_gradient_program(
    count: usize,
    tokens: usize,
    inputs: usize,
    accumulate: bool,
) -> Program {
    let constants = [Constant::Bool("ACCUMULATE", accumulate)];
    let text = include_str!("sampled_gradient.wgsl");
    let buffers = &[Read, Read, Read, ReadWrite];
    let params = vec![count as u32, tokens as u32, inputs as u32];
    Program::new("sampled_gradient", text, &constants, buffers, params, count.div_ceil(8))
}

/// Buffers: sample, grads, squared grads.
#[must_use]
pub fn accumulate_candidates_program(count: usize) -> Program {
    let text = include_str!("accumulate_candidates.wgsl");
    let buffers = &[Read, ReadWrite, ReadWrite];
    let params = vec![count as u32];
    Program::new("accumulate_candidates", text, &[], buffers, params, count.div_ceil(256))
}
