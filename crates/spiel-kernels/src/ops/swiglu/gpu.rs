use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work};

/// Buffers: gate, up, activation.
#[must_use]
pub fn swiglu_program(count: usize) -> Program {
    let buffers = &[Read, Read, ReadWrite];
    let params = vec![count as u32];
    let groups = count.div_ceil(256);
    Program::new("swiglu", include_str!("swiglu.wgsl"), &[], buffers, params, groups)
        .doing(Work::new([count], 4, 3 * count))
}

/// Buffers: gate, up, the gradient in the activation, `grad_gate`, `grad_up`.
#[must_use]
pub fn swiglu_backward_program(count: usize) -> Program {
    let text = include_str!("swiglu_backward.wgsl");
    let buffers = &[Read, Read, Read, ReadWrite, ReadWrite];
    Program::new("swiglu_backward", text, &[], buffers, vec![count as u32], count.div_ceil(256))
        .doing(Work::new([count], 11, 5 * count))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    vec![swiglu_program(100), swiglu_backward_program(100)]
}
