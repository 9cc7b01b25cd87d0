//! F16: IEEE half floats.

use super::Codec;
use half::f16;
use half::slice::HalfFloatSliceExt;

/// Halves that are converted at a time.
const PIECE: usize = 256;

pub(super) const CODEC: Codec = Codec {
    elements: 1,
    bytes: 2,
    decode: |bytes, out| {
        // The vector instructions of the conversion need aligned halves.
        let mut aligned = [f16::ZERO; PIECE];
        for (bytes, out) in bytes.chunks(2 * PIECE).zip(out.chunks_mut(PIECE)) {
            let aligned = &mut aligned[..out.len()];
            bytemuck::cast_slice_mut(aligned).copy_from_slice(bytes);
            aligned.convert_to_f32_slice(out);
        }
    },
    encode: |x, bytes| {
        for (x, bytes) in x.iter().zip(bytes.chunks_exact_mut(2)) {
            bytes.copy_from_slice(&f16::from_f32(*x).to_le_bytes());
        }
    },
};

#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 5e-4;
