//! Formats of blocks: what a block stands for is written once, as numbers with a scale, and decoded or multiplied from
//! that.

use super::Codec;
use super::vectors::{prefetch_block, sum_of};
use crate::simd::LANES;
use crate::simd::instructions::{Instructions, Kernel, run_best};
use std::array::from_fn;
use std::marker::PhantomData;

/// Elements of a block that share a scale; element = code·scale + minimum.
pub(super) struct Part<const N: usize> {
    /// The codes, or the levels that they name.
    pub(super) codes: [f32; N],
    pub(super) scale: f32,
    /// `None` where the format has none, which is not the same as 0: -0 + 0 is 0.
    pub(super) minimum: Option<f32>,
}

/// A format of blocks of so many bytes, whose parts have `N` elements, a multiple of 16.
pub(super) trait Blocks<const BYTES: usize, const N: usize> {
    /// Parts of a block.
    const PARTS: usize;

    /// One of the parts. Implementations are always inlined.
    fn part(instructions: impl Instructions, block: &[u8; BYTES], part: usize) -> Part<N>;
}

/// The codec of a format of blocks.
pub(super) const fn codec<B: Blocks<BYTES, N>, const BYTES: usize, const N: usize>(
    encode: fn(&[f32], &mut [u8]),
) -> Codec {
    Codec {
        elements: N * B::PARTS,
        bytes: BYTES,
        decode: |bytes, out| run_best(Decode::<B, BYTES, N> { bytes, out, format: PhantomData }),
        multiply: Some(|rows, x, y| {
            run_best(Multiply::<B, BYTES, N> { rows, x, y, format: PhantomData });
        }),
        encode,
    }
}

/// The numbers that the halves at a place are. They may be anywhere, but not across the ends of the eight bytes that are
/// read: those at a multiple of eight, or the last ones.
#[inline(always)]
pub(super) fn halves_at<const BYTES: usize, const N: usize>(
    instructions: impl Instructions,
    block: &[u8; BYTES],
    place: usize,
) -> [f32; N] {
    let start = (place / 8 * 8).min(BYTES - 8);
    let halves = instructions.four_halves(codes_at(block, start));
    from_fn(|i| halves[(place - start) / 2 + i])
}

/// So many bytes of a block.
#[inline(always)]
pub(super) fn codes_at<const BYTES: usize, const N: usize>(
    block: &[u8; BYTES],
    place: usize,
) -> &[u8; N] {
    &block[place..].as_chunks().0[0]
}

/// One after the other.
#[inline(always)]
pub(super) fn joined([first, second]: [[f32; 16]; 2]) -> [f32; 32] {
    from_fn(|i| if i < 16 { first[i] } else { second[i - 16] })
}

struct Decode<'a, B, const BYTES: usize, const N: usize> {
    bytes: &'a [u8],
    out: &'a mut [f32],
    format: PhantomData<B>,
}

impl<B: Blocks<BYTES, N>, const BYTES: usize, const N: usize> Kernel for Decode<'_, B, BYTES, N> {
    #[inline(always)]
    fn run(self, instructions: impl Instructions) {
        let (blocks, _) = self.bytes.as_chunks::<BYTES>();
        for (block, out) in blocks.iter().zip(self.out.chunks_exact_mut(N * B::PARTS)) {
            for part in 0..B::PARTS {
                let Part { codes, scale, minimum } = B::part(instructions, block, part);
                let out = &mut out[part * N..][..N];
                for i in 0..N {
                    let scaled = codes[i] * scale;
                    out[i] = minimum.map_or(scaled, |minimum| scaled + minimum);
                }
            }
        }
    }
}

struct Multiply<'a, B, const BYTES: usize, const N: usize> {
    rows: &'a [u8],
    x: &'a [f32],
    y: &'a mut [f32],
    format: PhantomData<B>,
}

impl<B: Blocks<BYTES, N>, const BYTES: usize, const N: usize> Kernel for Multiply<'_, B, BYTES, N> {
    #[inline(always)]
    fn run(self, instructions: impl Instructions) {
        let (blocks, _) = self.rows.as_chunks::<BYTES>();
        let (x, _) = self.x.as_chunks::<N>();
        let per_row = x.len() / B::PARTS;
        for (row, y) in blocks.chunks_exact(per_row).zip(self.y) {
            *y = Self::row(instructions, row, x);
        }
    }
}

impl<B: Blocks<BYTES, N>, const BYTES: usize, const N: usize> Multiply<'_, B, BYTES, N> {
    /// Σ (code·scale + minimum)·x of a row, where the scales are multiplied with sums of products, and the minima with sums
    /// of x. Both meet in each part: they nearly cancel where x has a mean.
    #[inline(always)]
    fn row(instructions: impl Instructions, row: &[[u8; BYTES]], x: &[[f32; N]]) -> f32 {
        let mut total = [0.0; LANES];
        for (block, x) in row.iter().zip(x.chunks_exact(B::PARTS)) {
            prefetch_block(instructions, block);
            for part in 0..B::PARTS {
                let Part { codes, scale, minimum } = B::part(instructions, block, part);
                let (codes, x) = (codes.as_chunks().0, x[part].as_chunks().0);
                let products = codes.iter().zip(x).fold([0.0; LANES], |products, (codes, x)| {
                    instructions.multiply_add(*codes, *x, products)
                });
                total = instructions.multiply_add(products, [scale; LANES], total);
                if let Some(minimum) = minimum
                    && let [first, others @ ..] = x
                {
                    let sums = others
                        .iter()
                        .fold(*first, |sums, x| instructions.multiply_add(*x, [1.0; LANES], sums));
                    total = instructions.multiply_add(sums, [minimum; LANES], total);
                }
            }
        }
        sum_of(&total)
    }
}
