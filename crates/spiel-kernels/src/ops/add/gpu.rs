use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work};

/// Buffers: x, y.
#[must_use]
pub fn add_program(count: usize) -> Program {
    let (params, groups) = (vec![count as u32], count.div_ceil(256));
    Program::new("add", include_str!("add.wgsl"), &[], &[Read, ReadWrite], params, groups)
        .doing(Work::new([count], 1, 3 * count))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    vec![add_program(100)]
}
