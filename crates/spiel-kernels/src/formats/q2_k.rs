//! `Q2_K`: four-bit scales s (low) and minima n (high) of sixteen parts, 256 codes, and two halves d and m;
//! element = code·(s·d) − n·m.
//!
//! Of each 32 bytes of codes, every two bits from the low ones on hold the next 32 elements.

use super::blocks::{Blocks, Part, codec, codes_at, halves_at};
use super::k_blocks::{BLOCK, fit_range, rounded};
use super::{Codec, half_at, put_half};
use crate::simd::instructions::Instructions;

pub(super) const CODEC: Codec = codec::<Block, 84, 16>(encode);
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.46;

const CODES: usize = 16;
const SCALE: usize = 80;
const MINIMUM: usize = 82;

struct Block;

impl Blocks<84, 16> for Block {
    const PARTS: usize = 16;

    #[inline(always)]
    fn part(instructions: impl Instructions, block: &[u8; 84], part: usize) -> Part<16> {
        let [scale, minimum] = halves_at(instructions, block, SCALE);
        let bytes: &[u8; 16] = codes_at(block, CODES + 32 * (part / 8) + 16 * (part % 2));
        let shift = 2 * (part / 2 % 4);
        let mut codes = [0; 16];
        for (code, byte) in codes.iter_mut().zip(bytes) {
            *code = (byte >> shift & 3).cast_signed();
        }
        Part {
            codes: instructions.numbers(codes),
            scale: f32::from(block[part] & 15) * scale,
            minimum: Some(-(f32::from(block[part] >> 4) * minimum)),
        }
    }
}

fn encode(x: &[f32], bytes: &mut [u8]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(CODEC.bytes)) {
        let mut fits = [(0.0, 0.0); 16];
        for (fit, x) in fits.iter_mut().zip(x.chunks_exact(16)) {
            *fit = fit_range(x, 3.0);
        }
        let scale = fits.iter().fold(0.0_f32, |most, fit| most.max(fit.0)) / 15.0;
        let minimum = fits.iter().fold(0.0_f32, |most, fit| most.max(-fit.1)) / 15.0;
        block.fill(0);
        put_half(block, SCALE, scale);
        put_half(block, MINIMUM, minimum);
        let halves = (half_at(block, SCALE), half_at(block, MINIMUM));
        for (part, x) in x.chunks_exact(16).enumerate() {
            let of_scale = rounded(fits[part].0, scale).clamp(0.0, 15.0);
            let of_minimum = rounded(-fits[part].1, minimum).clamp(0.0, 15.0);
            block[part] = of_scale as u8 | (of_minimum as u8) << 4;
            let codes = &mut block[CODES + 32 * (part / 8) + 16 * (part % 2)..][..16];
            for (byte, x) in codes.iter_mut().zip(x) {
                let code = rounded(x + of_minimum * halves.1, of_scale * halves.0).clamp(0.0, 3.0);
                *byte |= (code as u8) << (2 * (part / 2 % 4));
            }
        }
    }
}
