//! bitsandbytes' double quantisation: the magnitudes of NF4 blocks become the floats that one byte each stands for.

use super::Format;

/// Blocks that share a scale: a matrix is quantised in parts of whole runs of so many.
pub const SHARED_BLOCKS: usize = 256;

/// bitsandbytes looks codes up by the nearest of so many equal steps from −1 to 1.
const STEPS: f32 = 65_535.0;

fn magnitudes(nf4_blocks: &[u8]) -> impl Iterator<Item = f32> {
    let blocks = nf4_blocks.chunks_exact(Format::Nf4.block_bytes());
    blocks.map(|block| f32::from_bits(super::word_at(block, 0)))
}

/// The sum of the magnitudes of a matrix up to these blocks, which follow those that `before` is the sum of.
#[must_use]
pub fn sum_of_magnitudes(before: f64, nf4_blocks: &[u8]) -> f64 {
    magnitudes(nf4_blocks).map(f64::from).fold(before, |sum, magnitude| sum + magnitude)
}

/// Replaces the magnitudes of blocks of a matrix, in their order, by what they are after double quantisation: one of
/// 256 levels times a scale, plus the mean of the whole matrix. Which elements the codes stand for stays as it is.
pub fn quantise_magnitudes(nf4_blocks: &mut [u8], mean: f32) {
    let mut magnitudes: Vec<f32> = magnitudes(nf4_blocks).collect();
    let levels = levels();
    let bounds: [f32; 255] = std::array::from_fn(|i| f32::midpoint(levels[i], levels[i + 1]));
    for shared in magnitudes.chunks_mut(SHARED_BLOCKS) {
        let scale =
            shared.iter().fold(0.0_f32, |most, magnitude| most.max((magnitude - mean).abs()));
        let inverse = 1.0 / scale.max(1e-38);
        for magnitude in shared {
            let wanted = ((*magnitude - mean) * inverse).clamp(-1.0, 1.0);
            let step = ((wanted + 1.0) * 0.5 * STEPS + 0.5).floor();
            let wanted = step / STEPS * 2.0 - 1.0;
            *magnitude = levels[bounds.partition_point(|bound| *bound < wanted)] * scale + mean;
        }
    }
    let blocks = nf4_blocks.chunks_exact_mut(Format::Nf4.block_bytes());
    for (block, magnitude) in blocks.zip(magnitudes) {
        block[..4].copy_from_slice(&magnitude.to_le_bytes());
    }
}

/// The levels in ascending order: zero, one, and of both signs the middles of 1 to 64 equal parts of 0.1 to 1, for powers
/// of ten from 1e-6 to 1.
fn levels() -> [f32; 256] {
    const POWERS: [f32; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
    const START: f32 = 0.1;
    let mut levels = [0.0; 256];
    levels[1] = 1.0;
    let mut count = 2;
    for (exponent, power) in POWERS.into_iter().enumerate() {
        let parts = 1_u32 << exponent;
        let step = f64::from((1.0 - START) / parts as f32);
        // As torch does, from the nearer end and rounded once.
        let bound = |i: u32| {
            let from_start = f64::from(START) + step * f64::from(i);
            let from_end = 1.0 - step * f64::from(parts - i);
            (if i < parts.div_ceil(2) { from_start } else { from_end }) as f32
        };
        for part in 0..parts {
            let level = power * f32::midpoint(bound(part), bound(part + 1));
            levels[count..count + 2].copy_from_slice(&[level, -level]);
            count += 2;
        }
    }
    levels.sort_unstable_by(f32::total_cmp);
    levels
}
