use super::Norm;
use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work, word};

const LANES: Constant = Constant::U32("REDUCE_WIDTH", 256);

/// Buffers: x, weight, y.
#[must_use]
pub fn rms_norm_program(rows: usize, width: usize, norm: Norm) -> Program {
    let buffers = &[Read, Read, ReadWrite];
    let params = vec![rows as u32, width as u32, word(norm.epsilon), word(norm.offset())];
    Program::new("rms_norm", include_str!("rms_norm.wgsl"), &[LANES], buffers, params, rows)
        .doing(Work::new([rows, width], 4, (2 * rows + 1) * width))
}

/// Buffers: x, weight, `grad_y`, `grad_x`, inverses `[rows]`.
#[must_use]
pub fn rms_norm_backward_program(
    rows: usize,
    width: usize,
    norm: Norm,
    accumulate: bool,
) -> Program {
    let constants = [LANES, Constant::Bool("ACCUMULATE", accumulate)];
    let text = include_str!("rms_norm_backward.wgsl");
    let buffers = &[Read, Read, Read, ReadWrite, ReadWrite];
    let params = vec![rows as u32, width as u32, word(norm.epsilon), word(norm.offset())];
    let added = usize::from(accumulate);
    let words = (3 + added) * rows * width + width + rows;
    Program::new("rms_norm_backward", text, &constants, buffers, params, rows).doing(Work::new(
        [rows, width],
        10 + added as u64,
        words,
    ))
}

/// Buffers: x, `grad_y`, inverses, `grad_weight`.
#[must_use]
pub fn rms_norm_weight_backward_program(rows: usize, width: usize) -> Program {
    let text = include_str!("rms_norm_weight_backward.wgsl");
    let buffers = &[Read, Read, Read, ReadWrite];
    let params = vec![rows as u32, width as u32];
    let words = 2 * rows * width + rows + 2 * width;
    Program::new("rms_norm_weight_backward", text, &[], buffers, params, width.div_ceil(256))
        .doing(Work::new([rows, width], 3, words))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    let norm = Norm { epsilon: 1e-5, unit_offset: false };
    vec![
        rms_norm_program(3, 64, norm),
        rms_norm_backward_program(3, 64, norm, true),
        rms_norm_backward_program(3, 64, norm, false),
        rms_norm_weight_backward_program(3, 64),
    ]
}
