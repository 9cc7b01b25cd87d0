//! `Q5_K`: `Q4_K` with a fifth bit for every code, of which a byte holds those of one place in all eight parts.

use super::Codec;
use super::k_blocks::{BLOCK, part_scales, put_part_scales};
use multiversion::multiversion;

pub(super) const CODEC: Codec =
    Codec { elements: BLOCK, bytes: 176, decode, multiply: None, encode };
#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.07;

const FIFTH: usize = 16;
const CODES: usize = 48;

#[multiversion(targets("x86_64+avx2"))]
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(CODEC.bytes).zip(out.chunks_exact_mut(BLOCK)) {
        let (parts, fifth) = (part_scales(block), &block[FIFTH..CODES]);
        for pair in 0..4 {
            let codes = &block[CODES + 32 * pair..][..32];
            let (low, high) = out[64 * pair..][..64].split_at_mut(32);
            let [(scale, minimum), (next_scale, next_minimum)] =
                [parts[2 * pair], parts[2 * pair + 1]];
            for i in 0..32 {
                let bits = fifth[i] >> (2 * pair);
                low[i] = f32::from(codes[i] & 15 | (bits & 1) << 4) * scale - minimum;
                high[i] = f32::from(codes[i] >> 4 | (bits & 2) << 3) * next_scale - next_minimum;
            }
        }
    }
}

fn encode(x: &[f32], bytes: &mut [u8]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(CODEC.bytes)) {
        let codes = put_part_scales(x, 31.0, block);
        for (i, byte) in block[FIFTH..CODES].iter_mut().enumerate() {
            *byte = (0..8).fold(0, |bits, part| bits | codes[32 * part + i] >> 4 << part);
        }
        for (i, byte) in block[CODES..].iter_mut().enumerate() {
            let low = 64 * (i / 32) + i % 32;
            *byte = codes[low] & 15 | codes[low + 32] << 4;
        }
    }
}
