//! NF4 of bitsandbytes: the largest magnitude of 64 elements as a float, then 64 codes;
//! element = LEVELS[code]·magnitude.
//!
//! The earlier element of a byte is in its high nibble. bitsandbytes keeps the magnitudes apart and, when it quantises
//! twice, as a byte each with a scale per 256 of them and an offset per matrix: 4 + 8/64 + 32/(64·256) = 4.127 bits a
//! weight. A block here holds the float that its magnitude then stands for, 4 + 32/64 = 4.5 bits a weight: so it can be
//! decoded by itself, and to the bit. Of the 6.5 billion weights in the layers of a 7B model that costs 0.3 GB of 3.6.

use super::blocks::{Blocks, Part, codec, codes_at};
use super::{Codec, word_at};
use crate::simd::instructions::Instructions;
use multiversion::multiversion;

pub(super) const CODEC: Codec = codec::<Block, 36, BLOCK>(encode);
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.153;

const BLOCK: usize = 64;
const CODES: usize = 4;

/// Quantiles of the normal distribution, scaled to ±1.
const LEVELS: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

struct Block;

impl Blocks<36, BLOCK> for Block {
    const PARTS: usize = 1;

    #[inline(always)]
    fn part(instructions: impl Instructions, block: &[u8; 36], _: usize) -> Part<BLOCK> {
        let mut codes = [0.0; BLOCK];
        for (half, codes) in codes.as_chunks_mut::<{ BLOCK / 2 }>().0.iter_mut().enumerate() {
            let bytes = codes_at(block, CODES + half * BLOCK / 4);
            let [low, high] = instructions.levels(&LEVELS, bytes);
            for i in 0..BLOCK / 4 {
                codes[2 * i] = high[i];
                codes[2 * i + 1] = low[i];
            }
        }
        Part { codes, scale: f32::from_bits(word_at(block, 0)), minimum: None }
    }
}

/// As bitsandbytes: the nearest level, of two as near the lower one.
#[multiversion(targets("x86_64+avx2"))]
fn encode(x: &[f32], bytes: &mut [u8]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(CODEC.bytes)) {
        let magnitude = x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        // So small a magnitude has no inverse.
        let inverse = 1.0 / magnitude.max(1e-38);
        let code = |x: f32| {
            let bounds = LEVELS.windows(2).map(|pair| f32::midpoint(pair[0], pair[1]));
            bounds.map(|bound| u8::from(bound < x * inverse)).sum::<u8>()
        };
        block[..CODES].copy_from_slice(&magnitude.to_le_bytes());
        for (pair, byte) in x.chunks_exact(2).zip(&mut block[CODES..]) {
            *byte = code(pair[0]) << 4 | code(pair[1]);
        }
    }
}
