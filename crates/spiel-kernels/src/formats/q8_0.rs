//! Q8_0: a half scale d, then 32 signed codes; element = code·d.

use super::{BLOCK, Codec, half_at, put_half};
use multiversion::multiversion;

pub(super) const CODEC: Codec = Codec { elements: BLOCK, bytes: 34, decode, encode };
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 5e-3;

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(CODEC.bytes).zip(out.chunks_exact_mut(BLOCK)) {
        let scale = half_at(block, 0);
        for (out, code) in out.iter_mut().zip(&block[2..]) {
            *out = f32::from(code.cast_signed()) * scale;
        }
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
