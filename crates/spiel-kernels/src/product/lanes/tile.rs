//! The tile of C that stays in registers while a run of k passes by.

use super::simd::{add, splats};
use crate::simd::lanes::{Lanes, load, multiply_add, splat, store};
use std::ops::Range;

/// Rows of a tile: as many as one load of A holds.
pub(super) const ROWS: usize = 4;

/// Columns of a tile. Its eight sums hide the latency of a multiply-add and leave registers for the operands: larger
/// tiles spill.
pub(super) const COLUMNS: usize = 8;

/// Multiplies a panel of A `[k, ROWS]` by one of B `[k, COLUMNS]` and writes the part of the product that C has: these rows
/// of it, of which `columns`.
pub(super) fn multiply_panels(
    a: &[f32],
    b: &[f32],
    accumulate: bool,
    rows: &mut [&mut [f32]],
    columns: Range<usize>,
) {
    for (sums, row) in sums(a, b).into_iter().zip(rows) {
        let c = &mut row[columns.clone()];
        if let Some(c) = c.first_chunk_mut::<COLUMNS>() {
            write(sums, accumulate, c);
        } else {
            let mut whole = [0.0; COLUMNS];
            whole[..c.len()].copy_from_slice(c);
            write(sums, accumulate, &mut whole);
            c.copy_from_slice(&whole[..c.len()]);
        }
    }
}

#[inline(always)]
fn sums(a: &[f32], b: &[f32]) -> [[Lanes; 2]; ROWS] {
    let mut sums = [[splat(0.0); 2]; ROWS];
    let b = b.as_chunks::<4>().0.as_chunks::<2>().0;
    for (a, [left, right]) in a.as_chunks::<ROWS>().0.iter().zip(b) {
        let (left, right) = (load(left), load(right));
        for (sums, a) in sums.iter_mut().zip(splats(load(a))) {
            *sums = [multiply_add(a, left, sums[0]), multiply_add(a, right, sums[1])];
        }
    }
    sums
}

#[inline(always)]
fn write(sums: [Lanes; 2], accumulate: bool, c: &mut [f32; COLUMNS]) {
    for (sum, c) in sums.into_iter().zip(c.as_chunks_mut::<4>().0) {
        store(if accumulate { add(sum, load(c)) } else { sum }, c);
    }
}
