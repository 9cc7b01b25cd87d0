//! `Q6_K`: the low nibbles of 256 codes, their high two bits, signed bytes s that scale sixteen parts, and a half d;
//! element = (code − 32)·(s·d).
//!
//! Either half of a block has 64 bytes of nibbles, the low ones before the high ones, and 32 bytes of high bits, of
//! which every two bits from the low ones on belong to the next 32 elements.

use super::k_blocks::{BLOCK, extreme, fit_signed, rounded};
use super::{Codec, half_at, put_half};
use multiversion::multiversion;

pub(super) const CODEC: Codec = Codec { elements: BLOCK, bytes: 210, decode, encode };
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.04;

const HIGH: usize = 128;
const SCALES: usize = 192;
const SCALE: usize = 208;

#[multiversion(targets("x86_64+avx2"))]
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(CODEC.bytes).zip(out.chunks_exact_mut(BLOCK)) {
        let scale = half_at(block, SCALE);
        for (part, out) in out.chunks_exact_mut(16).enumerate() {
            let scale = f32::from(block[SCALES + part].cast_signed()) * scale;
            let (low, low_shift, high, high_shift) = places(part);
            let (low, high) = (&block[low..][..16], &block[high..][..16]);
            for i in 0..16 {
                let code = low[i] >> low_shift & 15 | (high[i] >> high_shift & 3) << 4;
                out[i] = f32::from(code.cast_signed() - 32) * scale;
            }
        }
    }
}

/// Where the codes of a part lie: the first byte of the low nibbles and their shift, and those of the high bits.
#[inline(always)]
fn places(part: usize) -> (usize, usize, usize, usize) {
    let (half, run, place) = (part / 8, part / 2 % 4, 16 * (part % 2));
    let low = 64 * half + 32 * (run % 2) + place;
    (low, 4 * (run / 2), HIGH + 32 * half + place, 2 * run)
}

fn encode(x: &[f32], bytes: &mut [u8]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(CODEC.bytes)) {
        let mut fits = [0.0; 16];
        for (fit, x) in fits.iter_mut().zip(x.chunks_exact(16)) {
            *fit = fit_signed(x, 32.0);
        }
        let scale = extreme(&fits) / -128.0;
        block.fill(0);
        put_half(block, SCALE, scale);
        let half_scale = half_at(block, SCALE);
        for (part, x) in x.chunks_exact(16).enumerate() {
            let of_scale = rounded(fits[part], scale).clamp(-128.0, 127.0);
            block[SCALES + part] = (of_scale as i8).cast_unsigned();
            let (low, low_shift, high, high_shift) = places(part);
            for (i, x) in x.iter().enumerate() {
                let code = rounded(*x, of_scale * half_scale).clamp(-32.0, 31.0);
                let code = (code + 32.0) as u8;
                block[low + i] |= (code & 15) << low_shift;
                block[high + i] |= code >> 4 << high_shift;
            }
        }
    }
}
