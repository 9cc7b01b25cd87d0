//! Q8_0: a half scale d, then 32 signed codes; element = code·d.

use super::blocks::{Blocks, Part, codec, codes_at, halves_at, joined};
use super::{BLOCK, Codec, put_half};
use crate::simd::instructions::Instructions;
use bytemuck::cast;

pub(super) const CODEC: Codec = codec::<Block, 34, BLOCK>(encode);
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 5e-3;

struct Block;

impl Blocks<34, BLOCK> for Block {
    const PARTS: usize = 1;

    #[inline(always)]
    fn part(instructions: impl Instructions, block: &[u8; 34], _: usize) -> Part<BLOCK> {
        let [scale] = halves_at(instructions, block, 0);
        let (first, second): (&[u8; 16], &[u8; 16]) = (codes_at(block, 2), codes_at(block, 18));
        // No closure, which is not always inlined, and then has none of the instructions.
        let numbers = [instructions.numbers(cast(*first)), instructions.numbers(cast(*second))];
        Part { codes: joined(numbers), scale, minimum: None }
    }
}

/// As ggml: the largest magnitude maps to 127; halves round away from zero.
fn encode(x: &[f32], bytes: &mut [u8]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(CODEC.bytes)) {
        let largest = x.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
        let scale = largest / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        put_half(block, 0, scale);
        for (code, x) in block[2..].iter_mut().zip(x) {
            *code = ((x * inverse).round() as i8).cast_unsigned();
        }
    }
}
