//! What the K formats share: blocks of 256, whose parts have small integer scales of their own, and how those are found.
//!
//! A half times an integer scale of up to eight bits times a code of up to six bits fits the 24 bits of a float. These
//! products are therefore exact, and no weight depends on whether a device fuses a multiplication with an addition.

use super::{half_at, put_half};

/// Elements of a block.
pub(super) const BLOCK: usize = 256;

/// The inverse scales to try lie so many tenths of a code around the one that just spans the values.
const TENTHS: std::ops::RangeInclusive<i32> = -10..=10;

/// The scale and the minimum, at most 0, for which the codes `0..=last` come closest to `x` by least squares.
pub(super) fn fit_range(x: &[f32], last: f32) -> (f32, f32) {
    let low = x.iter().copied().fold(0.0, f32::min);
    let high = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if high <= low {
        return (0.0, low);
    }
    let (count, sum_x) = (x.len() as f32, x.iter().sum::<f32>());
    let (mut best, mut least) = ((0.0, low), f32::INFINITY);
    for tenths in TENTHS {
        let inverse = (last + tenths as f32 / 10.0) / (high - low);
        let code = |x: f32| ((x - low) * inverse).round().clamp(0.0, last);
        let (mut sum_code, mut sum_squares, mut sum_products) = (0.0, 0.0, 0.0);
        for x in x {
            let code = code(*x);
            sum_code += code;
            sum_squares += code * code;
            sum_products += code * x;
        }
        let determinant = count * sum_squares - sum_code * sum_code;
        if determinant <= 0.0 {
            continue;
        }
        let mut scale = (count * sum_products - sum_x * sum_code) / determinant;
        let mut minimum = (sum_squares * sum_x - sum_code * sum_products) / determinant;
        if minimum > 0.0 {
            (scale, minimum) = (sum_products / sum_squares, 0.0);
        }
        let error = |x: &f32| (scale * code(*x) + minimum - x).powi(2);
        let error = x.iter().map(error).sum();
        if error < least {
            (best, least) = ((scale, minimum), error);
        }
    }
    best
}

/// The scale for which the codes `-most..most` come closest to `x` by least squares.
pub(super) fn fit_signed(x: &[f32], most: f32) -> f32 {
    let largest = extreme(x);
    if largest == 0.0 {
        return 0.0;
    }
    let (mut best, mut explained) = (0.0, 0.0);
    for tenths in TENTHS {
        let inverse = -(most + tenths as f32 / 10.0) / largest;
        let (mut sum_squares, mut sum_products) = (0.0, 0.0);
        for x in x {
            let code = (x * inverse).round().clamp(-most, most - 1.0);
            sum_squares += code * code;
            sum_products += code * x;
        }
        if sum_squares > 0.0 && sum_products * sum_products / sum_squares > explained {
            best = sum_products / sum_squares;
            explained = sum_products * best;
        }
    }
    best
}

/// The value of largest magnitude.
pub(super) fn extreme(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |most: f32, x| if x.abs() > most.abs() { *x } else { most })
}

/// `x / scale` rounded, and 0 where there is no scale.
pub(super) fn rounded(x: f32, scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { (x / scale).round() }
}

/// The scales and minima of the eight parts of a `Q4_K` or `Q5_K` block, which begins with the halves that multiply them
/// and the twelve bytes that pack them, six bits each.
pub(super) fn part_scales(block: &[u8]) -> [(f32, f32); 8] {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let packed = &block[4..16];
    std::array::from_fn(|part| {
        let (of_scale, of_minimum) = if part < 4 {
            (packed[part] & 63, packed[part + 4] & 63)
        } else {
            let low = packed[part + 4];
            (low & 15 | packed[part - 4] >> 6 << 4, low >> 4 | packed[part] >> 6 << 4)
        };
        (f32::from(of_scale) * scale, f32::from(of_minimum) * minimum)
    })
}

/// Fits the parts of a `Q4_K` or `Q5_K` block to codes `0..=last`, writes its first sixteen bytes, and returns the
/// codes.
pub(super) fn put_part_scales(x: &[f32], last: f32, block: &mut [u8]) -> [u8; BLOCK] {
    let mut fits = [(0.0, 0.0); 8];
    for (fit, x) in fits.iter_mut().zip(x.chunks_exact(32)) {
        *fit = fit_range(x, last);
    }
    let scale = fits.iter().fold(0.0_f32, |most, fit| most.max(fit.0)) / 63.0;
    let minimum = fits.iter().fold(0.0_f32, |most, fit| most.max(-fit.1)) / 63.0;
    put_half(block, 0, scale);
    put_half(block, 2, minimum);
    let packed = &mut block[4..16];
    packed.fill(0);
    for (part, fit) in fits.iter().enumerate() {
        let of_scale = rounded(fit.0, scale).clamp(0.0, 63.0) as u8;
        let of_minimum = rounded(-fit.1, minimum).clamp(0.0, 63.0) as u8;
        if part < 4 {
            packed[part] |= of_scale;
            packed[part + 4] |= of_minimum;
        } else {
            packed[part + 4] = of_scale & 15 | of_minimum << 4;
            packed[part - 4] |= of_scale >> 4 << 6;
            packed[part] |= of_minimum >> 4 << 6;
        }
    }
    let parts = part_scales(block);
    std::array::from_fn(|i| {
        let (scale, minimum) = parts[i / 32];
        rounded(x[i] + minimum, scale).clamp(0.0, last) as u8
    })
}
