//! BF16: the upper halves of floats.

use super::Codec;
use super::floats::{Floats, codec};
use crate::simd::LANES;
use crate::simd::instructions::Instructions;
use half::bf16;
use std::array::from_fn;

pub(super) const CODEC: Codec = codec::<UpperHalves, 2, 32>(|x, bytes| {
    for (x, bytes) in x.iter().zip(bytes.chunks_exact_mut(2)) {
        bytes.copy_from_slice(&bf16::from_f32(*x).to_le_bytes());
    }
});
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 4e-3;

struct UpperHalves;

impl Floats<2, 32> for UpperHalves {
    #[inline(always)]
    fn one(bytes: &[u8; 2]) -> f32 {
        f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16)
    }

    #[inline(always)]
    fn sixteen(_: impl Instructions, bytes: &[u8; 32]) -> [f32; LANES] {
        let (halves, _) = bytes.as_chunks();
        from_fn(|i| Self::one(&halves[i]))
    }
}
