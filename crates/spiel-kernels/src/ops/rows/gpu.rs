use crate::program::Access::{Read, ReadWrite};
use crate::program::Program;

/// Buffers: x, rows, out.
#[must_use]
pub fn gather_rows_program(first: usize, count: usize, width: usize) -> Program {
    program("gather_rows", include_str!("gather_rows.wgsl"), first, count, width)
}

/// Buffers: x, rows, out.
#[must_use]
pub fn scatter_rows_program(first: usize, count: usize, width: usize) -> Program {
    program("scatter_rows", include_str!("scatter_rows.wgsl"), first, count, width)
}

fn program(label: &'static str, text: &str, first: usize, count: usize, width: usize) -> Program {
    let params = vec![(count * width) as u32, width as u32, first as u32];
    let groups = (count * width).div_ceil(256);
    Program::new(label, text, &[], &[Read, Read, ReadWrite], params, groups)
}
