//! `Q3_K`: the third bits of 256 codes, their low two bits, six-bit scales s of sixteen parts, and a half d;
//! element = (code − 4)·((s − 32)·d).
//!
//! A byte of third bits holds those of one place in eight runs of 32 elements. The low bits lie as in `Q2_K`.

use super::k_blocks::{BLOCK, extreme, fit_signed, rounded};
use super::{Codec, half_at, put_half};
use multiversion::multiversion;

pub(super) const CODEC: Codec = Codec { elements: BLOCK, bytes: 110, decode, encode };
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.26;

const CODES: usize = 32;
const SCALES: usize = 96;
const SCALE: usize = 108;

#[multiversion(targets("x86_64+avx2"))]
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(CODEC.bytes).zip(out.chunks_exact_mut(BLOCK)) {
        let (third, scale, packed) =
            (&block[..CODES], half_at(block, SCALE), &block[SCALES..SCALE]);
        for (part, out) in out.chunks_exact_mut(16).enumerate() {
            let low = packed[part % 8] >> (4 * (part / 8)) & 15;
            let high = packed[8 + part % 4] >> (2 * (part / 4)) & 3;
            let scale = f32::from((low | high << 4).cast_signed() - 32) * scale;
            let (half, run) = (16 * (part % 2), part / 2);
            let codes = &block[CODES + 32 * (part / 8) + half..][..16];
            let third = &third[half..][..16];
            for i in 0..16 {
                let code = codes[i] >> (2 * (run % 4)) & 3 | (third[i] >> run & 1) << 2;
                out[i] = f32::from(code.cast_signed() - 4) * scale;
            }
        }
    }
}

fn encode(x: &[f32], bytes: &mut [u8]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(CODEC.bytes)) {
        let mut fits = [0.0; 16];
        for (fit, x) in fits.iter_mut().zip(x.chunks_exact(16)) {
            *fit = fit_signed(x, 4.0);
        }
        let scale = extreme(&fits) / -32.0;
        block.fill(0);
        put_half(block, SCALE, scale);
        let half_scale = half_at(block, SCALE);
        for (part, x) in x.chunks_exact(16).enumerate() {
            let of_scale = rounded(fits[part], scale).clamp(-32.0, 31.0);
            let packed = (of_scale + 32.0) as u8;
            block[SCALES + part % 8] |= (packed & 15) << (4 * (part / 8));
            block[SCALES + 8 + part % 4] |= packed >> 4 << (2 * (part / 4));
            let (half, run) = (16 * (part % 2), part / 2);
            for (i, x) in x.iter().enumerate() {
                let code = rounded(*x, of_scale * half_scale).clamp(-4.0, 3.0);
                let code = (code + 4.0) as u8;
                block[CODES + 32 * (part / 8) + half + i] |= (code & 3) << (2 * (run % 4));
                block[half + i] |= code >> 2 << run;
            }
        }
    }
}
