//! The ways weights are stored, named as in GGUF or after what they come from, and the registry of them all.
//!
//! A format is a pair of files, `<name>.rs` with its codec and `<name>.wgsl` with its decoder for GPUs, and one line of
//! [`formats!`].

use crate::math::dot;
use crate::parallel::{ELEMENTS_PER_TASK, chunks_mut};
#[cfg(doc)]
use crate::simd::instructions::Instructions;
use crate::simd::instructions::half_of;
use std::hint::black_box;

/// Elements of a quantised block, but for the K formats and NF4.
const BLOCK: usize = 32;

/// Weights that are decoded before they are used: whole blocks of any format, and few enough for the L1 cache.
pub(crate) const DECODED_AT_ONCE: usize = 1024;

/// Hands every stored format to a macro: what it is, its variant and the name of its files.
#[macro_export]
macro_rules! formats {
    ($define:ident) => {
        $define! {
            "32-bit floats.", F32, f32;
            "IEEE half floats.", F16, f16;
            "bfloat16.", Bf16, bf16;
            "32 four-bit codes around 8 and a half scale.", Q4_0, q4_0;
            "32 four-bit codes, a half scale and a half minimum.", Q4_1, q4_1;
            "32 five-bit codes around 16 and a half scale.", Q5_0, q5_0;
            "32 five-bit codes, a half scale and a half minimum.", Q5_1, q5_1;
            "32 eight-bit codes and a half scale.", Q8_0, q8_0;
            "256 two-bit codes in sixteen parts with scales and minima.", Q2_K, q2_k;
            "256 three-bit codes in sixteen parts with scales.", Q3_K, q3_k;
            "256 four-bit codes in eight parts with scales and minima.", Q4_K, q4_k;
            "256 five-bit codes in eight parts with scales and minima.", Q5_K, q5_k;
            "256 six-bit codes in sixteen parts with scales.", Q6_K, q6_k;
            "64 codes of the quantiles of a normal distribution and a scale.", Nf4, nf4;
        }
    };
}

mod blocks;
mod double_quantisation;
mod floats;
mod k_blocks;
mod vectors;

pub use double_quantisation::{SHARED_BLOCKS, quantise_magnitudes, sum_of_magnitudes};

macro_rules! define {
    ($($what:literal, $format:ident, $file:ident;)+) => {
        $(mod $file;)+

        /// A stored format.
        #[expect(non_camel_case_types, reason = "the names of GGUF")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Format {
            $(#[doc = $what] $format,)+
        }

        impl Format {
            /// Every format.
            pub const ALL: &[Self] = &[$(Self::$format),+];

            /// The name of its files, and in messages.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$format => stringify!($file),)+
                }
            }

            const fn codec(self) -> Codec {
                match self {
                    $(Self::$format => $file::CODEC,)+
                }
            }

            /// The WGSL part that decodes the format.
            #[must_use]
            pub const fn wgsl(self) -> &'static str {
                match self {
                    $(Self::$format => include_str!(concat!(stringify!($file), ".wgsl")),)+
                }
            }

            /// How far an encoded element may be off, where the largest of its block is 1.
            #[cfg(test)]
            const fn worst_error(self) -> f32 {
                match self {
                    $(Self::$format => $file::WORST_ERROR,)+
                }
            }
        }
    };
}
formats!(define);

/// Multiplies stored rows with a vector: `[rows, in]`, `[in]` and `[rows]`.
type Multiply = fn(&[u8], &[f32], &mut [f32]);

/// What a format is made of; its functions take any number of whole blocks.
struct Codec {
    elements: usize,
    bytes: usize,
    decode: fn(&[u8], &mut [f32]),
    /// Rows by a vector, where there is a way that is faster than to decode them first.
    multiply: Option<Multiply>,
    encode: fn(&[f32], &mut [u8]),
}

impl Format {
    /// Elements per block.
    #[must_use]
    pub const fn block_elements(self) -> usize {
        self.codec().elements
    }

    /// Bytes per block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        self.codec().bytes
    }

    /// The bytes of `elements` elements, a multiple of the block.
    #[must_use]
    pub const fn bytes(self, elements: usize) -> usize {
        elements / self.block_elements() * self.block_bytes()
    }
}

/// Decodes whole blocks on the calling thread; `out` says how many.
pub fn decode(format: Format, bytes: &[u8], out: &mut [f32]) {
    (format.codec().decode)(&bytes[..format.bytes(out.len())], out);
}

/// y = W·x on the calling thread, for the rows of a matrix as stored, one for each element of `y`.
pub fn multiply(format: Format, rows: &[u8], x: &[f32], y: &mut [f32]) {
    if let Some(multiply) = format.codec().multiply {
        return multiply(rows, x, y);
    }
    let mut decoded = [0.0; DECODED_AT_ONCE];
    for (row, y) in rows.chunks_exact(format.bytes(x.len())).zip(y) {
        let pieces = row.chunks(format.bytes(DECODED_AT_ONCE)).zip(x.chunks(DECODED_AT_ONCE));
        *y = pieces.fold(0.0, |sum, (bytes, x)| {
            let weights = &mut decoded[..x.len()];
            decode(format, bytes, weights);
            sum + dot(weights, x)
        });
    }
}

/// Decodes whole blocks on all threads.
pub fn decode_threaded(format: Format, bytes: &[u8], out: &mut [f32]) {
    chunks_mut(out, ELEMENTS_PER_TASK, |task, out| {
        decode(format, &bytes[format.bytes(task * ELEMENTS_PER_TASK)..], out);
    });
}

/// Encodes whole blocks on all threads, rounding as the format's reference encoder does.
pub fn encode(format: Format, x: &[f32], bytes: &mut [u8]) {
    let task_bytes = format.bytes(ELEMENTS_PER_TASK);
    chunks_mut(&mut bytes[..format.bytes(x.len())], task_bytes, |task, bytes| {
        let elements = bytes.len() / format.block_bytes() * format.block_elements();
        (format.codec().encode)(&x[task * ELEMENTS_PER_TASK..][..elements], bytes);
    });
}

/// Reads a little-endian half float, such as the scale of a block, hidden from the compiler for the reason that
/// [`Instructions::four_halves`] has.
#[inline(always)]
fn half_at(bytes: &[u8], offset: usize) -> f32 {
    half_of(black_box(u16::from_le_bytes([bytes[offset], bytes[offset + 1]])))
}

/// Reads a little-endian word.
#[inline(always)]
fn word_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[offset + i]))
}

/// Writes a half float; encoders go on with the value before rounding, as ggml's do.
fn put_half(bytes: &mut [u8], offset: usize, value: f32) {
    bytes[offset..offset + 2].copy_from_slice(&half::f16::from_f32(value).to_le_bytes());
}

#[cfg(test)]
mod tests;
