//! The dense product of factors that are rounded to bf16, summed in f32.

use super::blocked::{self, Operand, Tiling};
use super::{Matrix, Output};
use crate::columns::write_columns;
use crate::parallel::{ELEMENTS_PER_TASK, chunks_mut};
use crate::scratch::{Scratch, with_scratch};
use crate::simd::bf16::{EDGE, PAIRS, Sums, Tiles, Unit};
use half::bf16;
use multiversion::multiversion;
use std::ops::Range;

/// What is rounded to a bf16 number on its way to a product.
pub trait Factor: Copy + Send + Sync {
    /// Rounds numbers that lie side by side.
    fn write_rounded(numbers: &[Self], out: &mut [u16]);

    /// Rounds numbers and writes them as pairs with those of `later`.
    fn write_pairs(earlier: &[Self], later: &[Self], out: &mut [u32]);
}

impl Factor for f32 {
    fn write_rounded(numbers: &[Self], out: &mut [u16]) {
        round(numbers, out);
    }

    fn write_pairs(earlier: &[Self], later: &[Self], out: &mut [u32]) {
        pair_rounded(earlier, later, out);
    }
}

impl Factor for bf16 {
    fn write_rounded(numbers: &[Self], out: &mut [u16]) {
        out.copy_from_slice(bytemuck::cast_slice(numbers));
    }

    fn write_pairs(earlier: &[Self], later: &[Self], out: &mut [u32]) {
        pair(bytemuck::cast_slice(earlier), bytemuck::cast_slice(later), out);
    }
}

/// The bits of the nearest bf16 number, of two equally near the even one. NaN stays NaN.
#[inline(always)]
fn nearest(number: f32) -> u16 {
    let bits = number.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1));
    (if number.is_nan() { bits | 0x0040_0000 } else { rounded } >> 16) as u16
}

/// Rounds as products do, on all threads.
pub fn round_to_bf16(numbers: &[f32], out: &mut [bf16]) {
    chunks_mut(out, ELEMENTS_PER_TASK, |task, out| {
        let numbers = &numbers[task * ELEMENTS_PER_TASK..][..out.len()];
        round(numbers, bytemuck::cast_slice_mut(out));
    });
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn round(numbers: &[f32], out: &mut [u16]) {
    for (out, number) in out.iter_mut().zip(numbers) {
        *out = nearest(*number);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn pair_rounded(earlier: &[f32], later: &[f32], out: &mut [u32]) {
    for ((earlier, later), out) in earlier.iter().zip(later).zip(out) {
        *out = u32::from(nearest(*earlier)) | u32::from(nearest(*later)) << 16;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn pair(earlier: &[u16], later: &[u16], out: &mut [u32]) {
    for ((earlier, later), out) in earlier.iter().zip(later).zip(out) {
        *out = u32::from(*earlier) | u32::from(*later) << 16;
    }
}

/// Panels of 32 rows of A, `[32, pairs]`, and of 32 columns of B, `[pairs, 32]`, whose pairs of numbers are multiplied by
/// a unit. A block of B takes up to 2 MB of a cache, of the second level where there is AMX, a block of A 80 KiB.
struct Pairs(Unit);

impl Pairs {
    /// Writes lanes as rows of pairs, `[32, pairs]`.
    fn rows<T: Factor>(x: Operand<T>, lanes: &Range<usize>, depth: &Range<usize>, out: &mut [u32]) {
        let pairs = out.len() / EDGE;
        if x.depth_stride == 1 {
            let (given, missing) = out.split_at_mut(lanes.len() * pairs);
            for (lane, out) in lanes.clone().zip(given.chunks_mut(pairs)) {
                let out: &mut [u16] = bytemuck::cast_slice_mut(out);
                let (whole, rest) = out.split_at_mut(depth.len());
                T::write_rounded(
                    &x.data[lane * x.lane_stride + depth.start..][..depth.len()],
                    whole,
                );
                rest.fill(0);
            }
            missing.fill(0);
        } else {
            debug_assert_eq!(x.lane_stride, 1, "one of the strides is 1");
            with_scratch(Scratch::Between, out.len(), |columns| {
                Self::columns(x, lanes, depth, columns);
                move_words(columns, EDGE, (pairs, EDGE), out, pairs);
            });
        }
    }

    /// Writes lanes as columns of pairs, `[pairs, 32]`.
    fn columns<T: Factor>(
        x: Operand<T>,
        lanes: &Range<usize>,
        depth: &Range<usize>,
        out: &mut [u32],
    ) {
        let pairs = out.len() / EDGE;
        if x.lane_stride == 1 {
            let step = |k: usize| &x.data[k * x.depth_stride + lanes.start..][..lanes.len()];
            for (pair, out) in out.as_chunks_mut::<EDGE>().0.iter_mut().enumerate() {
                let k = depth.start + 2 * pair;
                let (given, missing) = out.split_at_mut(lanes.len());
                match depth.end.saturating_sub(k) {
                    0 => given.fill(0),
                    1 => {
                        // The number that is missing is a zero.
                        let mut rounded = [0; EDGE];
                        T::write_rounded(step(k), &mut rounded[..given.len()]);
                        for (out, number) in given.iter_mut().zip(rounded) {
                            *out = u32::from(number);
                        }
                    }
                    _ => T::write_pairs(step(k), step(k + 1), given),
                }
                missing.fill(0);
            }
        } else {
            debug_assert_eq!(x.depth_stride, 1, "one of the strides is 1");
            with_scratch(Scratch::Between, out.len(), |rows| {
                Self::rows(x, lanes, depth, rows);
                move_words(rows, pairs, (EDGE, pairs), out, EDGE);
            });
        }
    }
}

/// Words of rows, `stride` apart, become columns.
fn move_words(x: &[u32], stride: usize, shape: (usize, usize), out: &mut [u32], width: usize) {
    write_columns(bytemuck::cast_slice(x), stride, shape, bytemuck::cast_slice_mut(out), width);
}

impl<T: Factor> Tiling<T> for Pairs {
    type Prepared = Tiles;

    const ROWS: usize = EDGE;
    const COLUMNS: usize = EDGE;
    const DEPTH: usize = 640;
    const WIDTH: usize = 1536;
    const HEIGHT: usize = 2 * EDGE;

    fn lane_words(steps: usize) -> usize {
        steps.div_ceil(2).next_multiple_of(PAIRS)
    }

    fn pack_rows(
        &self,
        a: Operand<f32>,
        lanes: Range<usize>,
        depth: Range<usize>,
        panel: &mut [u32],
    ) {
        Self::rows(a, &lanes, &depth, panel);
    }

    fn pack_columns(
        &self,
        b: Operand<T>,
        lanes: Range<usize>,
        depth: Range<usize>,
        panel: &mut [u32],
    ) {
        Self::columns(b, &lanes, &depth, panel);
    }

    fn multiply_panels(
        &self,
        tiles: &Tiles,
        (a, b): (&[u32], &[u32]),
        accumulate: bool,
        rows: &mut [&mut [f32]],
        columns: Range<usize>,
    ) {
        let mut sums: Sums = [[0.0; EDGE]; EDGE];
        tiles.sums(a, b, &mut sums);
        for (sums, row) in sums.iter().zip(rows) {
            let c = &mut row[columns.clone()];
            if accumulate {
                for (c, sum) in c.iter_mut().zip(sums) {
                    *c += sum;
                }
            } else {
                c.copy_from_slice(&sums[..c.len()]);
            }
        }
    }

    fn prepared(&self, work: impl FnOnce(&Tiles)) {
        self.0.prepared(work);
    }
}

/// Words of scratch that a thread keeps at most, with what one layout is written from.
pub(super) fn scratch_words() -> usize {
    let panel = EDGE * <Pairs as Tiling<f32>>::lane_words(<Pairs as Tiling<f32>>::DEPTH);
    blocked::scratch_words::<f32, Pairs>() + panel
}

/// C (+)= A·B on all threads, of factors that are rounded to bf16; the same bits as on one.
///
/// # Panics
/// When the shapes do not agree.
pub fn product_bf16<T: Factor>(unit: Unit, a: Matrix, b: Matrix<T>, mut c: Output) {
    if super::has_work(a, (b.rows, b.columns), &mut c) {
        let (accumulate, c) = (c.accumulate, &mut c.data[..a.rows * b.columns]);
        blocked::multiply(&Pairs(unit), a, b, accumulate, c, true);
    }
}
