//! Q4_0: a half scale d, then 32 codes; element = (code − 8)·d. The low nibbles hold the first 16 elements.

use super::blocks::{Blocks, Part, codec, codes_at, halves_at, joined};
use super::{BLOCK, Codec, put_half};
use crate::simd::instructions::Instructions;

pub(super) const CODEC: Codec = codec::<Block, 18, BLOCK>(encode);
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.14;

struct Block;

impl Blocks<18, BLOCK> for Block {
    const PARTS: usize = 1;

    #[inline(always)]
    fn part(instructions: impl Instructions, block: &[u8; 18], _: usize) -> Part<BLOCK> {
        let [scale] = halves_at(instructions, block, 0);
        let codes = joined(instructions.nibbles(codes_at(block, 2), 8));
        Part { codes, scale, minimum: None }
    }
}

/// As ggml: the element of largest magnitude maps to code 0 exactly.
fn encode(x: &[f32], bytes: &mut [u8]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(CODEC.bytes)) {
        let largest = x.iter().fold(0.0_f32, |m, x| if x.abs() > m.abs() { *x } else { m });
        let scale = largest / -8.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        put_half(block, 0, scale);
        let code = |x: f32| ((x * inverse + 8.5) as i32).min(15) as u8;
        for i in 0..BLOCK / 2 {
            block[2 + i] = code(x[i]) | code(x[i + BLOCK / 2]) << 4;
        }
    }
}
