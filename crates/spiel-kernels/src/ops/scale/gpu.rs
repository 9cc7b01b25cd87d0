use crate::program::Access::ReadWrite;
use crate::program::{Program, Work, word};

/// Buffers: x.
#[must_use]
pub fn scale_program(factor: f32, count: usize) -> Program {
    let (params, groups) = (vec![count as u32, word(factor)], count.div_ceil(256));
    Program::new("scale", include_str!("scale.wgsl"), &[], &[ReadWrite], params, groups)
        .doing(Work::new([count], 1, 2 * count))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    vec![scale_program(0.5, 100)]
}
