//! Formats of floats one by one, in rows of any length.

use super::Codec;
use super::vectors::{prefetch_block, sum_of};
use crate::simd::LANES;
use crate::simd::instructions::{Instructions, Kernel, run_best};
use std::marker::PhantomData;

/// A format of floats of so many bytes, `SIXTEEN` for sixteen of them.
pub(super) trait Floats<const BYTES: usize, const SIXTEEN: usize> {
    /// What a float stands for. Implementations are always inlined.
    fn one(bytes: &[u8; BYTES]) -> f32;

    /// The same for sixteen.
    fn sixteen(instructions: impl Instructions, bytes: &[u8; SIXTEEN]) -> [f32; LANES];
}

/// The codec of a format of floats.
pub(super) const fn codec<F: Floats<BYTES, SIXTEEN>, const BYTES: usize, const SIXTEEN: usize>(
    encode: fn(&[f32], &mut [u8]),
) -> Codec {
    Codec {
        elements: 1,
        bytes: BYTES,
        decode: |bytes, out| {
            run_best(Decode::<F, BYTES, SIXTEEN> { bytes, out, format: PhantomData });
        },
        multiply: Some(|rows, x, y| {
            run_best(Multiply::<F, BYTES, SIXTEEN> { rows, x, y, format: PhantomData });
        }),
        encode,
    }
}

struct Decode<'a, F, const BYTES: usize, const SIXTEEN: usize> {
    bytes: &'a [u8],
    out: &'a mut [f32],
    format: PhantomData<F>,
}

impl<F: Floats<BYTES, SIXTEEN>, const BYTES: usize, const SIXTEEN: usize> Kernel
    for Decode<'_, F, BYTES, SIXTEEN>
{
    #[inline(always)]
    fn run(self, instructions: impl Instructions) {
        let (vectors, rest) = self.bytes.as_chunks::<SIXTEEN>();
        let (out, out_rest) = self.out.as_chunks_mut::<LANES>();
        for (bytes, out) in vectors.iter().zip(out) {
            *out = F::sixteen(instructions, bytes);
        }
        for (bytes, out) in rest.as_chunks::<BYTES>().0.iter().zip(out_rest) {
            *out = F::one(bytes);
        }
    }
}

struct Multiply<'a, F, const BYTES: usize, const SIXTEEN: usize> {
    rows: &'a [u8],
    x: &'a [f32],
    y: &'a mut [f32],
    format: PhantomData<F>,
}

impl<F: Floats<BYTES, SIXTEEN>, const BYTES: usize, const SIXTEEN: usize> Kernel
    for Multiply<'_, F, BYTES, SIXTEEN>
{
    #[inline(always)]
    fn run(self, instructions: impl Instructions) {
        let (x_vectors, x_rest) = self.x.as_chunks::<LANES>();
        for (row, y) in self.rows.chunks_exact(self.x.len() * BYTES).zip(self.y) {
            let (vectors, rest) = row.as_chunks::<SIXTEEN>();
            let mut lanes = [0.0; LANES];
            for (bytes, x) in vectors.iter().zip(x_vectors) {
                prefetch_block(instructions, bytes);
                let weights = F::sixteen(instructions, bytes);
                lanes = instructions.multiply_add(weights, *x, lanes);
            }
            let rest = rest.as_chunks::<BYTES>().0.iter().zip(x_rest);
            *y = sum_of(&lanes) + rest.map(|(weight, x)| F::one(weight) * x).sum::<f32>();
        }
    }
}
