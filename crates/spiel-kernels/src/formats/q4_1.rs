//! Q4_1: a half scale d and a half minimum m, then 32 codes; element = code·d + m. The low nibbles hold the first 16.

use super::blocks::{Blocks, Part, codec, codes_at, halves_at, joined};
use super::{BLOCK, Codec, put_half};
use crate::simd::instructions::Instructions;

pub(super) const CODEC: Codec = codec::<Block, 20, BLOCK>(encode);
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.08;

struct Block;

impl Blocks<20, BLOCK> for Block {
    const PARTS: usize = 1;

    #[inline(always)]
    fn part(instructions: impl Instructions, block: &[u8; 20], _: usize) -> Part<BLOCK> {
        let [scale, minimum] = halves_at(instructions, block, 0);
        let codes = joined(instructions.nibbles(codes_at(block, 4), 0));
        Part { codes, scale, minimum: Some(minimum) }
    }
}

/// As ggml: the smallest element maps to code 0 and the largest to 15.
fn encode(x: &[f32], bytes: &mut [u8]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(CODEC.bytes)) {
        let minimum = x.iter().copied().fold(f32::INFINITY, f32::min);
        let maximum = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = (maximum - minimum) / 15.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        put_half(block, 0, scale);
        put_half(block, 2, minimum);
        let code = |x: f32| (((x - minimum) * inverse + 0.5) as i32).min(15) as u8;
        for i in 0..BLOCK / 2 {
            block[4 + i] = code(x[i]) | code(x[i + BLOCK / 2]) << 4;
        }
    }
}
