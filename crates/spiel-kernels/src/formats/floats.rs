//! Floats stored as they are: f32, f16 and bf16.

use super::Codec;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

pub(super) const F32: Codec = Codec {
    elements: 1,
    bytes: 4,
    decode: |bytes, out| bytemuck::cast_slice_mut(out).copy_from_slice(bytes),
    encode: |x, bytes| bytes.copy_from_slice(bytemuck::cast_slice(x)),
};

pub(super) const F16: Codec = Codec {
    elements: 1,
    bytes: 2,
    decode: |bytes, out| pieces(bytes, out, |halves: &[f16], out| halves.convert_to_f32_slice(out)),
    encode: |x, bytes| {
        for (x, bytes) in x.iter().zip(bytes.chunks_exact_mut(2)) {
            bytes.copy_from_slice(&f16::from_f32(*x).to_le_bytes());
        }
    },
};

pub(super) const BF16: Codec = Codec {
    elements: 1,
    bytes: 2,
    decode: |bytes, out| {
        for (out, bytes) in out.iter_mut().zip(bytes.chunks_exact(2)) {
            *out = f32::from_bits(u32::from(u16::from_le_bytes([bytes[0], bytes[1]])) << 16);
        }
    },
    encode: |x, bytes| {
        for (x, bytes) in x.iter().zip(bytes.chunks_exact_mut(2)) {
            bytes.copy_from_slice(&bf16::from_f32(*x).to_le_bytes());
        }
    },
};

/// Hands aligned copies of the halves to `convert`, which needs them for its vector instructions.
fn pieces<T: bytemuck::Pod + Default>(
    bytes: &[u8],
    out: &mut [f32],
    convert: impl Fn(&[T], &mut [f32]),
) {
    let mut aligned = [T::default(); 256];
    for (bytes, out) in bytes.chunks(512).zip(out.chunks_mut(256)) {
        let aligned = &mut aligned[..out.len()];
        bytemuck::cast_slice_mut(aligned).copy_from_slice(bytes);
        convert(aligned, out);
    }
}
