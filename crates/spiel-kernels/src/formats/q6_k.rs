//! `Q6_K`: the low nibbles of 256 codes, their high two bits, signed bytes s that scale sixteen parts, and a half d;
//! element = (code − 32)·(s·d).
//!
//! Either half of a block has 64 bytes of nibbles, the low ones before the high ones, and 32 bytes of high bits, of
//! which every two bits from the low ones on belong to the next 32 elements.

use super::blocks::{Blocks, Part, codec, codes_at, halves_at};
use super::k_blocks::{BLOCK, extreme, fit_signed, rounded};
use super::{Codec, half_at, put_half};
use crate::simd::instructions::Instructions;
use std::array::from_fn;

pub(super) const CODEC: Codec = codec::<Block, 210, 16>(encode);
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.04;

const HIGH: usize = 128;
const SCALES: usize = 192;
const SCALE: usize = 208;

struct Block;

impl Blocks<210, 16> for Block {
    const PARTS: usize = 16;

    #[inline(always)]
    fn part(instructions: impl Instructions, block: &[u8; 210], part: usize) -> Part<16> {
        let [scale] = halves_at(instructions, block, SCALE);
        let (low, low_shift, high, high_shift) = places(part);
        let (low, high): (&[u8; 16], &[u8; 16]) = (codes_at(block, low), codes_at(block, high));
        let codes = from_fn(|i| {
            let code = low[i] >> low_shift & 15 | (high[i] >> high_shift & 3) << 4;
            code.cast_signed() - 32
        });
        Part {
            codes: instructions.numbers(codes),
            scale: f32::from(block[SCALES + part].cast_signed()) * scale,
            minimum: None,
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
