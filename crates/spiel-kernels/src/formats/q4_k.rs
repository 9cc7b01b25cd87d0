//! `Q4_K`: two halves d and m, six-bit scales s and minima n of eight parts, then 256 codes;
//! element = code·(s·d) − n·m.
//!
//! Of each 32 bytes of codes, the low nibbles hold one part and the high nibbles the next.

use super::Codec;
use super::k_blocks::{BLOCK, part_scales, put_part_scales};
use multiversion::multiversion;

pub(super) const CODEC: Codec =
    Codec { elements: BLOCK, bytes: 144, decode, multiply: None, encode };
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.12;

const CODES: usize = 16;

#[multiversion(targets("x86_64+avx2"))]
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(CODEC.bytes).zip(out.chunks_exact_mut(BLOCK)) {
        let parts = part_scales(block);
        for pair in 0..4 {
            let codes = &block[CODES + 32 * pair..][..32];
            let (low, high) = out[64 * pair..][..64].split_at_mut(32);
            let [(scale, minimum), (next_scale, next_minimum)] =
                [parts[2 * pair], parts[2 * pair + 1]];
            for i in 0..32 {
                low[i] = f32::from(codes[i] & 15) * scale - minimum;
                high[i] = f32::from(codes[i] >> 4) * next_scale - next_minimum;
            }
        }
    }
}

fn encode(x: &[f32], bytes: &mut [u8]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(CODEC.bytes)) {
        let codes = put_part_scales(x, 15.0, block);
        for (i, byte) in block[CODES..].iter_mut().enumerate() {
            let low = 64 * (i / 32) + i % 32;
            *byte = codes[low] | codes[low + 32] << 4;
        }
    }
}
