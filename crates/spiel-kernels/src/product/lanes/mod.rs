//! The dense product of WebAssembly: a tile of lanes of four floats.

mod pack;
mod simd;
mod tile;
mod vector;

use super::blocked::{self, Operand, Tiling};
use super::{Matrix, Output};
use std::ops::Range;
use tile::{COLUMNS, ROWS};

/// Panels of 4 rows and 8 columns: a panel of B takes 8 KiB of the first-level cache, a block of it 1 MiB of a shared one,
/// a block of A 32 KiB.
struct FourByEight;

impl Tiling<f32> for FourByEight {
    type Prepared = ();

    const ROWS: usize = ROWS;
    const COLUMNS: usize = COLUMNS;
    const DEPTH: usize = 256;
    const WIDTH: usize = 1024;
    const HEIGHT: usize = 32;

    fn lane_words(steps: usize) -> usize {
        steps
    }

    fn pack_rows(
        &self,
        a: Operand<f32>,
        lanes: Range<usize>,
        depth: Range<usize>,
        panel: &mut [u32],
    ) {
        pack::pack::<ROWS>(a, lanes, depth, bytemuck::cast_slice_mut(panel));
    }

    fn pack_columns(
        &self,
        b: Operand<f32>,
        lanes: Range<usize>,
        depth: Range<usize>,
        panel: &mut [u32],
    ) {
        pack::pack::<COLUMNS>(b, lanes, depth, bytemuck::cast_slice_mut(panel));
    }

    fn multiply_panels(
        &self,
        (): &(),
        (a, b): (&[u32], &[u32]),
        accumulate: bool,
        rows: &mut [&mut [f32]],
        columns: Range<usize>,
    ) {
        let (a, b) = (bytemuck::cast_slice(a), bytemuck::cast_slice(b));
        tile::multiply_panels(a, b, accumulate, rows, columns);
    }

    fn prepared(&self, work: impl FnOnce(&())) {
        work(&());
    }
}

/// Words of scratch that a thread keeps at most.
pub(super) fn scratch_words() -> usize {
    blocked::scratch_words::<f32, FourByEight>()
}

/// C (+)= A·B for shapes that agree and have no zero.
pub(super) fn product(a: Matrix, b: Matrix, c: Output, threaded: bool) {
    let (rows, columns) = (a.rows, b.columns);
    let (accumulate, c) = (c.accumulate, &mut c.data[..rows * columns]);
    if rows == 1 {
        vector::multiply(a, b, accumulate, c, threaded);
    } else if columns == 1 {
        vector::multiply(b.transposed(), a.transposed(), accumulate, c, threaded);
    } else {
        blocked::multiply(&FourByEight, a, b, accumulate, c, threaded);
    }
}
