//! F32: floats as they are.

use super::Codec;
use super::floats::{Floats, codec};
use crate::simd::LANES;
use crate::simd::instructions::Instructions;
use std::array::from_fn;

pub(super) const CODEC: Codec =
    codec::<Words, 4, 64>(|x, bytes| bytes.copy_from_slice(bytemuck::cast_slice(x)));
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.0;

struct Words;

impl Floats<4, 64> for Words {
    #[inline(always)]
    fn one(bytes: &[u8; 4]) -> f32 {
        f32::from_le_bytes(*bytes)
    }

    #[inline(always)]
    fn sixteen(_: impl Instructions, bytes: &[u8; 64]) -> [f32; LANES] {
        let (words, _) = bytes.as_chunks();
        from_fn(|i| Self::one(&words[i]))
    }
}
