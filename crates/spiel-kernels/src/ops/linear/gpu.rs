use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work};

/// How a product is cut into workgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tiling {
    /// Tiles pass through workgroup memory: for GPUs.
    Shared,
    /// Invocations read what they need themselves: for processors that pose as GPUs.
    Registers,
}

/// Tiles that keep a large GPU busy; fewer are cut smaller.
const BUSY: usize = 128;

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

impl Layout {
    /// Whether its columns are adjacent, rather than its rows.
    #[must_use]
    pub fn is_row_major(self) -> bool {
        self.column == 1
    }

    /// Elements between its lines.
    fn stride(self) -> usize {
        self.row.max(self.column)
    }

    fn is_vectors(self) -> bool {
        self.first.is_multiple_of(4) && self.stride().is_multiple_of(4)
    }
}

/// C `[m, n]` (+)= A `[m, k]` · B `[k, n]`; C is row-major. Buffers: A, B, C.
#[must_use]
pub fn product_program(
    tiling: Tiling,
    [m, n, k]: [usize; 3],
    [a, b, c]: [Layout; 3],
    accumulate: bool,
) -> Program {
    let large = m.div_ceil(128) * n.div_ceil(128) >= BUSY;
    let side = if large { 128 } else { 64 };
    let (text, rows, columns) = match tiling {
        Tiling::Shared => (include_str!("product_shared.wgsl"), side, side),
        Tiling::Registers => (include_str!("product_registers.wgsl"), 32, 64),
    };
    let row_tiles = m.div_ceil(rows);
    let groups = row_tiles * n.div_ceil(columns);
    let [a_part, b_part] = [
        (a, include_str!("a_vectors.wgsl"), include_str!("a_scalars.wgsl")),
        (b, include_str!("b_vectors.wgsl"), include_str!("b_scalars.wgsl")),
    ]
    .map(|(layout, vectors, scalars)| if layout.is_vectors() { vectors } else { scalars });
    let constants = [
        Constant::Part("a", a_part),
        Constant::Part("b", b_part),
        Constant::Part("product_blocks", include_str!("product_blocks.wgsl")),
        Constant::Bool("A_ALONG_K", a.is_row_major()),
        Constant::Bool("B_ALONG_K", !b.is_row_major()),
        Constant::Bool("ACCUMULATE", accumulate),
        Constant::U32("TILE", side as u32),
    ];
    let lines = [a, b, c].map(|layout| [layout.first, layout.stride()]).concat();
    let params = [&[m, n, k][..], &lines, &[row_tiles]].concat();
    let params = params.into_iter().map(|param| param as u32).collect();
    let words = m * k + k * n + m * n * (1 + usize::from(accumulate));
    let label = match (a.is_row_major(), b.is_row_major()) {
        (true, true) => "product_nn",
        (true, false) => "product_nt",
        (false, true) => "product_tn",
        (false, false) => "product_tt",
    };
    Program::new(label, text, &constants, &[Read, Read, ReadWrite], params, groups)
        .doing(Work::new([m, n, k], 2, words))
}

/// Buffers: bias, y.
#[must_use]
pub fn add_bias_program(tokens: usize, width: usize) -> Program {
    let params = vec![(tokens * width) as u32, width as u32];
    let groups = (tokens * width).div_ceil(256);
    let text = include_str!("add_bias.wgsl");
    Program::new("add_bias", text, &[], &[Read, ReadWrite], params, groups).doing(Work::new(
        [tokens, width],
        1,
        (2 * tokens + 1) * width,
    ))
}

/// Buffers: `grad_y`, `grad_bias`.
#[must_use]
pub fn add_bias_backward_program(tokens: usize, width: usize) -> Program {
    let params = vec![tokens as u32, width as u32];
    let text = include_str!("add_bias_backward.wgsl");
    let groups = width.div_ceil(256);
    Program::new("add_bias_backward", text, &[], &[Read, ReadWrite], params, groups)
        .doing(Work::new([tokens, width], 1, (tokens + 2) * width))
}
