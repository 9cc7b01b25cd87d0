use crate::assemble::Constant;
use crate::formats::Format;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work};
use std::ops::Range;

/// Reads the rows `window` of the table, of which alone it is given. Buffers: table, tokens, x.
#[must_use]
pub fn embedding_program(
    format: Format,
    tokens: usize,
    width: usize,
    window: &Range<usize>,
) -> Program {
    let weight = Constant::Part("weight", format.wgsl());
    let buffers = &[Read, Read, ReadWrite];
    let params = params(tokens, width, window);
    let groups = (tokens * width.div_ceil(8)).div_ceil(256);
    let work = Work::new([tokens, width], 0, tokens * (width + 1));
    Program::new("embedding", include_str!("embedding.wgsl"), &[weight], buffers, params, groups)
        .doing(work.decoding(format, tokens * width))
}

/// Changes the rows `window` of the table, of which alone it is given. Buffers: tokens, `grad_x`, `grad_table`.
#[must_use]
pub fn embedding_backward_program(tokens: usize, width: usize, window: &Range<usize>) -> Program {
    let text = include_str!("embedding_backward.wgsl");
    let buffers = &[Read, Read, ReadWrite];
    let params = params(tokens, width, window);
    Program::new("embedding_backward", text, &[], buffers, params, width.div_ceil(256))
        .doing(Work::new([tokens, width], 1, tokens * (3 * width + 1)))
}

fn params(tokens: usize, width: usize, window: &Range<usize>) -> Vec<u32> {
    vec![tokens as u32, width as u32, window.start as u32, window.len() as u32]
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    let forward = Format::ALL.iter().map(|format| embedding_program(*format, 3, 64, &(0..9)));
    forward.chain([embedding_backward_program(3, 64, &(0..9))]).collect()
}
