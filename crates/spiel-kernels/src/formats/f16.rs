//! F16: IEEE half floats.

use super::Codec;
use super::floats::{Floats, codec};
use crate::simd::LANES;
use crate::simd::instructions::{Instructions, half_of};
use half::f16;

pub(super) const CODEC: Codec = codec::<Halves, 2, 32>(|x, bytes| {
    for (x, bytes) in x.iter().zip(bytes.chunks_exact_mut(2)) {
        bytes.copy_from_slice(&f16::from_f32(*x).to_le_bytes());
    }
});
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 5e-4;

struct Halves;

impl Floats<2, 32> for Halves {
    #[inline(always)]
    fn one(bytes: &[u8; 2]) -> f32 {
        half_of(u16::from_le_bytes(*bytes))
    }

    #[inline(always)]
    fn sixteen(instructions: impl Instructions, bytes: &[u8; 32]) -> [f32; LANES] {
        instructions.sixteen_halves(bytes)
    }
}
