//! `Q3_K`: the third bits of 256 codes, their low two bits, six-bit scales s of sixteen parts, and a half d;
//! element = (code − 4)·((s − 32)·d).
//!
//! A byte of third bits holds those of one place in eight runs of 32 elements. The low bits lie as in `Q2_K`.

use super::blocks::{Blocks, Part, codec, codes_at, halves_at};
use super::k_blocks::{BLOCK, extreme, fit_signed, rounded};
use super::{Codec, half_at, put_half};
use crate::simd::instructions::Instructions;
use std::array::from_fn;

pub(super) const CODEC: Codec = codec::<Block, 110, 16>(encode);
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.26;

const CODES: usize = 32;
const SCALES: usize = 96;
const SCALE: usize = 108;

struct Block;

impl Blocks<110, 16> for Block {
    const PARTS: usize = 16;

    #[inline(always)]
    fn part(instructions: impl Instructions, block: &[u8; 110], part: usize) -> Part<16> {
        let [scale] = halves_at(instructions, block, SCALE);
        let packed = &block[SCALES..SCALE];
        let low = packed[part % 8] >> (4 * (part / 8)) & 15;
        let high = packed[8 + part % 4] >> (2 * (part / 4)) & 3;
        let (half, run) = (16 * (part % 2), part / 2);
        let bytes: &[u8; 16] = codes_at(block, CODES + 32 * (part / 8) + half);
        let third: &[u8; 16] = codes_at(block, half);
        let codes = from_fn(|i| {
            let code = bytes[i] >> (2 * (run % 4)) & 3 | (third[i] >> run & 1) << 2;
            code.cast_signed() - 4
        });
        Part {
            codes: instructions.numbers(codes),
            scale: f32::from((low | high << 4).cast_signed() - 32) * scale,
            minimum: None,
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
