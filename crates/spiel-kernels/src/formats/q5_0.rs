//! `Q5_0`: a half scale d, the fifth bits of 32 codes, then their low nibbles; element = (code − 16)·d.
//!
//! The low nibbles of the bytes and the low half of the fifth bits hold the first 16 elements.

use super::{BLOCK, Codec, half_at, put_half, word_at};
use multiversion::multiversion;

pub(super) const CODEC: Codec =
    Codec { elements: BLOCK, bytes: 22, decode, multiply: None, encode };
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.07;

#[multiversion(targets("x86_64+avx2"))]
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(CODEC.bytes).zip(out.chunks_exact_mut(BLOCK)) {
        let (scale, fifth) = (half_at(block, 0), word_at(block, 2));
        let (low, high) = out.split_at_mut(BLOCK / 2);
        for i in 0..BLOCK / 2 {
            let codes = u32::from(block[6 + i]);
            low[i] = ((codes & 15 | (fifth >> i & 1) << 4) as i32 - 16) as f32 * scale;
            high[i] = ((codes >> 4 | (fifth >> (i + 16) & 1) << 4) as i32 - 16) as f32 * scale;
        }
    }
}

/// As ggml: the element of largest magnitude maps to code 0 exactly.
fn encode(x: &[f32], bytes: &mut [u8]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(CODEC.bytes)) {
        let largest = x.iter().fold(0.0_f32, |m, x| if x.abs() > m.abs() { *x } else { m });
        let scale = largest / -16.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        put_half(block, 0, scale);
        put_codes(x, &mut block[2..], |x| ((x * inverse + 16.5) as i32).min(31) as u32);
    }
}

/// Writes the fifth bits of the codes and then their nibbles.
pub(super) fn put_codes(x: &[f32], place: &mut [u8], code: impl Fn(f32) -> u32) {
    let (fifth, nibbles) = place.split_at_mut(4);
    let mut bits = 0;
    for i in 0..BLOCK / 2 {
        let (low, high) = (code(x[i]), code(x[i + BLOCK / 2]));
        nibbles[i] = (low & 15 | (high & 15) << 4) as u8;
        bits |= low >> 4 << i | high >> 4 << (i + BLOCK / 2);
    }
    fifth.copy_from_slice(&bits.to_le_bytes());
}
