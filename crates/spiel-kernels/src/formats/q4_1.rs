//! Q4_1: a half scale d and a half minimum m, then 32 codes; element = code·d + m. The low nibbles hold the first 16.

use super::{BLOCK, Codec, half_at, nibbles, put_half};
use multiversion::multiversion;

pub(super) const CODEC: Codec = Codec { elements: BLOCK, bytes: 20, decode, encode };
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.08;

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(CODEC.bytes).zip(out.chunks_exact_mut(BLOCK)) {
        let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
        for (out, code) in out.iter_mut().zip(nibbles(&block[4..])) {
            *out = f32::from(code) * scale + minimum;
        }
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
