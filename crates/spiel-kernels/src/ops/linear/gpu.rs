use super::work::{linear_packed_work, product_work};
use crate::assemble::Constant;
use crate::element::Element;
use crate::formats::Format;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work};
use std::ops::Range;

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

/// C `[m, n]` (+)= A `[m, k]` · B `[k, n]`, B of elements of this type; C is row-major. Buffers: A, B, C.
#[must_use]
pub fn product_program(
    tiling: Tiling,
    element: Element,
    [m, n, k]: [usize; 3],
    [a, b, c]: [Layout; 3],
    accumulate: bool,
) -> Program {
    // What does not fill half of a large tile is padding in it.
    let large = m.min(n) > 64 && m.div_ceil(128) * n.div_ceil(128) >= BUSY;
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
        Constant::Part("element", element.wgsl()),
        Constant::Part("product_blocks", include_str!("product_blocks.wgsl")),
        Constant::Bool("A_ALONG_K", a.is_row_major()),
        Constant::Bool("B_ALONG_K", !b.is_row_major()),
        Constant::Bool("ACCUMULATE", accumulate),
        Constant::U32("TILE", side as u32),
    ];
    let lines = [a, b, c].map(|layout| [layout.first, layout.stride()]).concat();
    let params = [&[m, n, k][..], &lines, &[row_tiles]].concat();
    let params = params.into_iter().map(|param| param as u32).collect();
    let work = product_work([m, n, k], element, accumulate);
    let label = match (a.is_row_major(), b.is_row_major()) {
        (true, true) => "product_nn",
        (true, false) => "product_nt",
        (false, true) => "product_tn",
        (false, false) => "product_tt",
    };
    Program::new(label, text, &constants, &[Read, Read, ReadWrite], params, groups).doing(work)
}

/// Invocations of a workgroup that multiplies a few tokens.
const FEW_INVOCATIONS: usize = 64;

impl Tiling {
    /// How a few tokens are multiplied, and how many rows a workgroup then owns: more where barriers cost more.
    fn few(self, tokens: usize) -> ([Constant; 3], usize) {
        let lanes = match self {
            Self::Shared => 32,
            Self::Registers => 8,
        };
        let rows = FEW_INVOCATIONS / lanes;
        let constants = [("TOKENS", tokens), ("LANES", lanes), ("ROWS", rows)];
        (constants.map(|(name, value)| Constant::U32(name, value as u32)), rows)
    }
}

/// y = x·Wᵀ for `tokens` tokens, from the stored rows `rows` of W `[outputs, inputs]`, of which alone it is given.
/// Buffers: stored, x, y.
#[must_use]
pub fn linear_packed_program(
    tiling: Tiling,
    format: Format,
    tokens: usize,
    [inputs, outputs]: [usize; 2],
    rows: &Range<usize>,
) -> Program {
    let in_eights = inputs.is_multiple_of(8);
    let x = if in_eights { include_str!("b_vectors.wgsl") } else { include_str!("b_scalars.wgsl") };
    let (few, rows_of_group) = tiling.few(tokens);
    let constants = [
        &few[..],
        &[
            Constant::Part("weight", format.wgsl()),
            Constant::Part("b", x),
            Constant::Part("element", Element::F32.wgsl()),
            Constant::Bool("IN_EIGHTS", in_eights),
        ],
    ]
    .concat();
    let text = include_str!("linear_packed.wgsl");
    let params = [inputs, outputs, rows.start, rows.len()].map(|param| param as u32).to_vec();
    let work = linear_packed_work(format, tokens, [inputs, rows.len()]);
    let groups = rows.len().div_ceil(rows_of_group);
    Program::new("linear_packed", text, &constants, &[Read, Read, ReadWrite], params, groups)
        .doing(work)
}

/// Adds the products of `count` deltas of W `[outputs, inputs]`. Buffers: indices, values, x, y.
#[must_use]
pub fn linear_deltas_program(
    tiling: Tiling,
    count: usize,
    tokens: usize,
    [inputs, outputs]: [usize; 2],
) -> Program {
    let (constants, rows) = tiling.few(tokens);
    let text = include_str!("linear_deltas.wgsl");
    let buffers = &[Read, Read, Read, ReadWrite];
    let params = [count, inputs, outputs].map(|param| param as u32).to_vec();
    let words = count * (2 + tokens) + 2 * tokens * outputs;
    let work = Work::new([count, tokens], 2, words);
    Program::new("linear_deltas", text, &constants, buffers, params, outputs.div_ceil(rows))
        .doing(work)
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

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    let mut programs = vec![add_bias_program(3, 64), add_bias_backward_program(3, 64)];
    for tiling in [Tiling::Shared, Tiling::Registers] {
        for size in [64, 67, 2048] {
            let row_major = Layout { first: 0, row: size, column: 1 };
            let column_major = Layout { first: 4, row: 1, column: size };
            for a in [row_major, column_major] {
                for b in [row_major, column_major] {
                    let (layouts, accumulate) = ([a, b, row_major], size == 67);
                    programs.extend(Element::OF_GPUS.map(|element| {
                        product_program(tiling, element, [size; 3], layouts, accumulate)
                    }));
                }
            }
        }
        for tokens in [1, 8] {
            programs.push(linear_deltas_program(tiling, 9, tokens, [64, 9]));
            for &format in Format::ALL {
                for inputs in [63, 64] {
                    let shape = [inputs, 9];
                    programs.push(linear_packed_program(tiling, format, tokens, shape, &(0..9)));
                }
            }
        }
    }
    programs
}
