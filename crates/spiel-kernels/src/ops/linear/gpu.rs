use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::Program;

/// Rows and columns of C that a workgroup computes.
const TILE: usize = 64;

/// Where a matrix lies in its buffer, in elements.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The first element.
    pub first: usize,
    /// From a row to the next.
    pub row: usize,
    /// From a column to the next.
    pub column: usize,
}

/// C `[m, n]` (+)= A `[m, k]` · B `[k, n]`; the rows of C are contiguous. Buffers: A, B, C.
#[must_use]
pub fn product_program(
    [m, n, k]: [usize; 3],
    a: Layout,
    b: Layout,
    c: Layout,
    accumulate: bool,
) -> Program {
    let row_tiles = m.div_ceil(TILE);
    let [a, b] = [a, b].map(|operand| [operand.first, operand.row, operand.column]);
    let params = [&[m, n, k][..], &a, &b, &[c.first, c.row, row_tiles]].concat();
    let constants = [Constant::Bool("ACCUMULATE", accumulate)];
    let groups = row_tiles * n.div_ceil(TILE);
    let params = params.into_iter().map(|param| param as u32).collect();
    let text = include_str!("product.wgsl");
    Program::new("product", text, &constants, &[Read, Read, ReadWrite], params, groups)
}

/// Buffers: bias, y.
#[must_use]
pub fn add_bias_program(tokens: usize, width: usize) -> Program {
    let params = vec![(tokens * width) as u32, width as u32];
    let groups = (tokens * width).div_ceil(256);
    let text = include_str!("add_bias.wgsl");
    Program::new("add_bias", text, &[], &[Read, ReadWrite], params, groups)
}

/// Buffers: `grad_y`, `grad_bias`.
#[must_use]
pub fn add_bias_backward_program(tokens: usize, width: usize) -> Program {
    let params = vec![tokens as u32, width as u32];
    let text = include_str!("add_bias_backward.wgsl");
    let groups = width.div_ceil(256);
    Program::new("add_bias_backward", text, &[], &[Read, ReadWrite], params, groups)
}
