//! The tile of C that stays in registers while a block of k passes by.

use super::super::Matrix;
use super::DEPTH;
use crate::simd::instructions::Instructions;
use std::array::from_fn;
use std::ops::Range;

/// Numbers of a vector.
pub(super) const LANES: usize = 16;
/// Columns of a panel.
pub(super) const COLUMNS: usize = 2 * LANES;
/// One step of a panel.
pub(super) type Step = [[f32; LANES]; 2];

/// Rows of the tallest strip.
pub(super) const TALLEST: usize = 14;
/// Floats from one row of a strip to the next: an odd number of cache lines, so that the rows lie in different sets.
pub(super) const STRIDE: usize = DEPTH + LANES;
/// Rows of A, each a block of k.
pub(super) type Strip = [[f32; STRIDE]; TALLEST];

/// Bytes by which a panel is asked for before it is read: sixteen steps.
const AHEAD: usize = 16 * size_of::<Step>();

/// Rows of strips by the registers that there are for sums.
pub(super) const fn rows<I: Instructions>() -> usize {
    match I::SUMS {
        24.. => TALLEST,
        4.. => 6,
        _ => 2,
    }
}

/// What a pass over a panel asks of the next strip: a share of its lines, evenly over the steps of k.
pub(super) struct Ahead<'a> {
    a: Matrix<'a>,
    /// Rows and steps of k that the strip consists of.
    rows: Range<usize>,
    depth: Range<usize>,
    /// The panel's number and how many there are.
    panel: usize,
    panels: usize,
}

impl<'a> Ahead<'a> {
    #[inline(always)]
    pub(super) fn new(
        a: Matrix<'a>,
        rows: Range<usize>,
        depth: &Range<usize>,
        (panel, panels): (usize, usize),
    ) -> Self {
        Self { a, rows, depth: depth.clone(), panel, panels }
    }

    /// Asks for the share of the steps `step..step + LANES` of the panel.
    #[inline(always)]
    fn fetch(&self, instructions: impl Instructions, step: usize) {
        let Self { a, rows, depth, panel, panels } = self;
        let ask = |row: usize, k: usize| {
            let place = (row * a.row_stride + k * a.column_stride) * size_of::<f32>();
            instructions.prefetch_far(bytemuck::cast_slice(a.data), place);
        };
        if a.column_stride == 1 {
            // The same steps of some rows.
            let first = |panel: usize| rows.start + rows.len() * panel / panels;
            (first(*panel)..first(panel + 1)).for_each(|row| ask(row, depth.start + step));
        } else {
            // All rows of some steps: they lie side by side, in one line or two.
            let passed = panel * depth.len() + step;
            let until = (passed + LANES).min((panel + 1) * depth.len());
            for k in passed / panels..until / panels {
                ask(rows.start, depth.start + k);
                ask(rows.end, depth.start + k);
            }
        }
    }
}

/// Multiplies a strip by a panel of B into these columns of these rows of C.
#[inline(always)]
pub(super) fn multiply<I: Instructions>(
    instructions: I,
    strip: &Strip,
    b: &[Step],
    ahead: Ahead,
    rows: &mut [&mut [f32]],
    columns: Range<usize>,
    accumulate: bool,
) {
    match (I::SUMS, rows.len()) {
        (24.., 7..) => {
            tile::<I, TALLEST, 2>(instructions, strip, b, ahead, rows, columns, accumulate)
        }
        (24.., 3..) => tile::<I, 6, 2>(instructions, strip, b, ahead, rows, columns, accumulate),
        (24.., _) => tile::<I, 2, 2>(instructions, strip, b, ahead, rows, columns, accumulate),
        (4.., 3..) => tile::<I, 6, 1>(instructions, strip, b, ahead, rows, columns, accumulate),
        _ => tile::<I, 2, 1>(instructions, strip, b, ahead, rows, columns, accumulate),
    }
}

/// Rows of the strip that are none of C's are multiplied in vain. Sums are counted by constants only, or the compiler would
/// put them into memory.
#[inline(always)]
fn tile<I: Instructions, const ROWS: usize, const VECTORS: usize>(
    instructions: I,
    strip: &Strip,
    b: &[Step],
    ahead: Ahead,
    rows: &mut [&mut [f32]],
    columns: Range<usize>,
    accumulate: bool,
) {
    assert!(b.len() <= DEPTH, "a block is too deep");
    for row in &*rows {
        for line in [0, LANES] {
            instructions
                .prefetch(bytemuck::cast_slice(row), (columns.start + line) * size_of::<f32>());
        }
    }
    for vector in (0..2).step_by(VECTORS) {
        let mut sums = [[instructions.splat(0.0); VECTORS]; ROWS];
        let mut k = 0;
        for steps in b.chunks(LANES) {
            if vector == 0 {
                ahead.fetch(instructions, k);
            }
            for step in steps {
                let bytes: &[u8] = bytemuck::bytes_of(step);
                if vector == 0 {
                    instructions.prefetch(bytes, AHEAD);
                    instructions.prefetch(bytes, AHEAD + size_of::<Step>() / 2);
                }
                let b: [I::Vector; VECTORS] = from_fn(|i| instructions.load(&step[vector + i]));
                for (sums, row) in sums.iter_mut().zip(strip) {
                    let a = instructions.splat(row[k]);
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = instructions.fused(a, b, *sum);
                    }
                }
                k += 1;
            }
        }
        let one = instructions.splat(1.0);
        for (sums, row) in sums.into_iter().zip(&mut *rows) {
            for (i, mut sum) in sums.into_iter().enumerate() {
                let row = &mut row[columns.clone()];
                let c = &mut row[((vector + i) * LANES).min(columns.len())..];
                if let Some(c) = c.first_chunk_mut::<LANES>() {
                    if accumulate {
                        sum = instructions.fused(one, instructions.load(c), sum);
                    }
                    instructions.store(sum, c);
                } else {
                    let mut whole = [0.0; LANES];
                    whole[..c.len()].copy_from_slice(c);
                    if accumulate {
                        sum = instructions.fused(one, instructions.load(&whole), sum);
                    }
                    instructions.store(sum, &mut whole);
                    c.copy_from_slice(&whole[..c.len()]);
                }
            }
        }
    }
}
