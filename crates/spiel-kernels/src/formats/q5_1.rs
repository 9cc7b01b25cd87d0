//! `Q5_1`: a half scale d, a half minimum m, and 32 codes of five bits as in `Q5_0`; element = code·d + m.

use super::q5_0::put_codes;
use super::{BLOCK, Codec, half_at, put_half, word_at};
use multiversion::multiversion;

pub(super) const CODEC: Codec =
    Codec { elements: BLOCK, bytes: 24, decode, multiply: None, encode };
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.04;

#[multiversion(targets("x86_64+avx2"))]
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(CODEC.bytes).zip(out.chunks_exact_mut(BLOCK)) {
        let (scale, minimum, fifth) = (half_at(block, 0), half_at(block, 2), word_at(block, 4));
        let (low, high) = out.split_at_mut(BLOCK / 2);
        for i in 0..BLOCK / 2 {
            let codes = u32::from(block[8 + i]);
            low[i] = (codes & 15 | (fifth >> i & 1) << 4) as i32 as f32 * scale + minimum;
            high[i] = (codes >> 4 | (fifth >> (i + 16) & 1) << 4) as i32 as f32 * scale + minimum;
        }
    }
}

/// As ggml: the smallest element maps to code 0 and the largest to 31.
fn encode(x: &[f32], bytes: &mut [u8]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(CODEC.bytes)) {
        let minimum = x.iter().copied().fold(f32::INFINITY, f32::min);
        let maximum = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = (maximum - minimum) / 31.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        put_half(block, 0, scale);
        put_half(block, 2, minimum);
        put_codes(x, &mut block[4..], |x| (((x - minimum) * inverse + 0.5) as u32).min(31));
    }
}
