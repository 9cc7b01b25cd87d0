//! The tile of C that stays in registers while a block of k passes by.

use super::super::Matrix;
use super::DEPTH;
use crate::simd::LANES;
use crate::simd::instructions::Instructions;
use std::array::from_fn;
use std::ops::Range;

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

/// A strip that meets a panel of B.
pub(super) struct Pass<'a> {
    pub(super) strip: &'a Strip,
    pub(super) panel: &'a [Step],
    pub(super) ahead: Ahead<'a>,
    /// Columns of C that the panel's are.
    pub(super) columns: Range<usize>,
    /// Whether the product is added to what is there.
    pub(super) accumulate: bool,
}

impl Pass<'_> {
    /// Multiplies into these rows of C, no more than [`rows`].
    #[inline(always)]
    pub(super) fn multiply<I: Instructions>(self, instructions: I, rows: &mut [&mut [f32]]) {
        match (I::SUMS, rows.len()) {
            (24.., 7..) => self.tile::<I, TALLEST, 2>(instructions, rows),
            (24.., 3..) => self.tile::<I, 6, 2>(instructions, rows),
            (24.., _) => self.tile::<I, 2, 2>(instructions, rows),
            (4.., 3..) => self.tile::<I, 6, 1>(instructions, rows),
            _ => self.tile::<I, 2, 1>(instructions, rows),
        }
    }

    /// Goes over the panel by as many vectors as there are registers for. Rows of the strip that are none of C's are
    /// multiplied in vain.
    #[inline(always)]
    fn tile<I: Instructions, const ROWS: usize, const VECTORS: usize>(
        self,
        instructions: I,
        rows: &mut [&mut [f32]],
    ) {
        for row in &*rows {
            for first in [0, LANES] {
                let place = (self.columns.start + first) * size_of::<f32>();
                instructions.prefetch(bytemuck::cast_slice(row), place);
            }
        }
        for first in (0..2).step_by(VECTORS) {
            let sums = self.sums::<I, ROWS, VECTORS>(instructions, first);
            for (sums, row) in sums.into_iter().zip(&mut *rows) {
                let mut parts = row[self.columns.clone()].chunks_mut(LANES).skip(first);
                for sum in sums {
                    let Some(c) = parts.next() else { break };
                    write(instructions, sum, self.accumulate, c);
                }
            }
        }
    }

    /// The sums stay in registers while the steps pass by: they are counted by constants only, or the compiler would put
    /// them into memory.
    #[inline(always)]
    fn sums<I: Instructions, const ROWS: usize, const VECTORS: usize>(
        &self,
        instructions: I,
        first: usize,
    ) -> [[I::Vector; VECTORS]; ROWS] {
        assert!(self.panel.len() <= DEPTH, "a strip is shorter than a panel");
        let mut sums = [[instructions.splat(0.0); VECTORS]; ROWS];
        let mut k = 0;
        for steps in self.panel.chunks(LANES) {
            // Once for all vectors of the panel.
            if first == 0 {
                self.ahead.fetch(instructions, k);
            }
            for step in steps {
                if first == 0 {
                    let bytes: &[u8] = bytemuck::bytes_of(step);
                    instructions.prefetch(bytes, AHEAD);
                    instructions.prefetch(bytes, AHEAD + size_of::<Step>() / 2);
                }
                let b: [I::Vector; VECTORS] = from_fn(|i| instructions.load(&step[first + i]));
                for (sums, row) in sums.iter_mut().zip(self.strip) {
                    let a = instructions.splat(row[k]);
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = instructions.fused(a, b, *sum);
                    }
                }
                k += 1;
            }
        }
        sums
    }
}

/// Writes as many sums as C has room for, or adds them.
#[inline(always)]
fn write<I: Instructions>(instructions: I, sum: I::Vector, accumulate: bool, c: &mut [f32]) {
    let one = instructions.splat(1.0);
    let result = |c: &[f32; LANES]| {
        if accumulate { instructions.fused(one, instructions.load(c), sum) } else { sum }
    };
    if let Some(c) = c.first_chunk_mut::<LANES>() {
        instructions.store(result(c), c);
    } else {
        let mut whole = [0.0; LANES];
        whole[..c.len()].copy_from_slice(c);
        let result = result(&whole);
        instructions.store(result, &mut whole);
        c.copy_from_slice(&whole[..c.len()]);
    }
}
