//! BF16: the upper halves of floats.

use super::Codec;
use half::bf16;
use multiversion::multiversion;

pub(super) const CODEC: Codec = Codec {
    elements: 1,
    bytes: 2,
    decode,
    encode: |x, bytes| {
        for (x, bytes) in x.iter().zip(bytes.chunks_exact_mut(2)) {
            bytes.copy_from_slice(&bf16::from_f32(*x).to_le_bytes());
        }
    },
};

#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 4e-3;

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (out, bytes) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        *out = f32::from_bits(u32::from(u16::from_le_bytes([bytes[0], bytes[1]])) << 16);
    }
}
