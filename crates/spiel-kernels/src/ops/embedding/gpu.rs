use crate::assemble::Constant;
use crate::formats::Format;
use crate::program::Access::{Read, ReadWrite};
use crate::program::Program;

/// Buffers: table, tokens, x.
#[must_use]
pub fn embedding_program(format: Format, tokens: usize, width: usize) -> Program {
    let weight = Constant::Part("weight", format.wgsl());
    let buffers = &[Read, Read, ReadWrite];
    let params = vec![tokens as u32, width as u32];
    let groups = (tokens * width.div_ceil(8)).div_ceil(256);
    Program::new("embedding", include_str!("embedding.wgsl"), &[weight], buffers, params, groups)
}

/// Buffers: tokens, `grad_x`, `grad_table`.
#[must_use]
pub fn embedding_backward_program(tokens: usize, width: usize) -> Program {
    let text = include_str!("embedding_backward.wgsl");
    let buffers = &[Read, Read, ReadWrite];
    let params = vec![tokens as u32, width as u32];
    Program::new("embedding_backward", text, &[], buffers, params, width.div_ceil(256))
}
