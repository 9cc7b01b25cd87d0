use crate::program::Access::ReadWrite;
use crate::program::{Program, Work, word};

/// Buffers: x.
#[must_use]
pub fn soft_cap_program(count: usize, cap: f32) -> Program {
    let params = vec![count as u32, word(cap)];
    let text = include_str!("soft_cap.wgsl");
    Program::new("soft_cap", text, &[], &[ReadWrite], params, count.div_ceil(256)).doing(Work::new(
        [count],
        6,
        2 * count,
    ))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    vec![soft_cap_program(100, 30.0)]
}
