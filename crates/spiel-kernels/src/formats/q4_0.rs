//! Q4_0: a half scale d, then 32 codes; element = (code − 8)·d. The low nibbles hold the first 16 elements.

use super::{BLOCK, Codec, half_at, nibbles, put_half};
use multiversion::multiversion;

pub(super) const CODEC: Codec = Codec { elements: BLOCK, bytes: 18, decode, encode };
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.14;

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(CODEC.bytes).zip(out.chunks_exact_mut(BLOCK)) {
        let scale = half_at(block, 0);
        for (out, code) in out.iter_mut().zip(nibbles(&block[2..])) {
            *out = f32::from(code.cast_signed() - 8) * scale;
        }
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
