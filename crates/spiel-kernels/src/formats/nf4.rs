//! NF4 of bitsandbytes: the largest magnitude of 64 elements as a float, then 64 codes;
//! element = LEVELS[code]·magnitude.
//!
//! The earlier element of a byte is in its high nibble. bitsandbytes keeps the magnitudes apart and, when it quantises
//! twice, as a byte each with a scale per 256 of them and an offset per matrix: 4 + 8/64 + 32/(64·256) = 4.127 bits a
//! weight. A block here holds the float that its magnitude then stands for, 4 + 32/64 = 4.5 bits a weight: so it can be
//! decoded by itself, and to the bit. Of the 6.5 billion weights in the layers of a 7B model that costs 0.3 GB of 3.6.

use super::{Codec, word_at};
use multiversion::multiversion;
use std::hint::black_box;

pub(super) const CODEC: Codec = Codec { elements: BLOCK, bytes: 36, decode, encode };
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

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(CODEC.bytes).zip(out.chunks_exact_mut(BLOCK)) {
        // Hidden from the compiler for the reason that a half scale is.
        let magnitude = f32::from_bits(black_box(word_at(block, 0)));
        let values = LEVELS.map(|level| level * magnitude);
        for i in 0..BLOCK / 2 {
            let codes = block[CODES + i];
            out[2 * i] = values[usize::from(codes >> 4)];
            out[2 * i + 1] = values[usize::from(codes & 15)];
        }
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
