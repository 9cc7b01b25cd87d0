//! F32: floats as they are.

use super::Codec;

pub(super) const CODEC: Codec = Codec {
    elements: 1,
    bytes: 4,
    decode: |bytes, out| bytemuck::cast_slice_mut(out).copy_from_slice(bytes),
    encode: |x, bytes| bytes.copy_from_slice(bytemuck::cast_slice(x)),
};

#[cfg(test)]
pub(super) const WORST_ERROR: f32 = 0.0;
