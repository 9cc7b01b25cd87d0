//! Scalar functions and row reductions written so that the compiler vectorises them.
//!
//! None uses fused multiply-add, so every instruction set gives the same bits.

use multiversion::multiversion;
use std::array::from_fn;

/// Independent partial sums of a reduction: enough to hide the latency of an addition on wide units.
const PARTIAL_SUMS: usize = 32;

/// The exponential function, to about 2 ulp; 0 below -87.3 and infinity above 88.376, a little before f32 itself ends.
/// NaN stays NaN.
#[inline(always)]
#[must_use]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding and subtracting 1.5 * 2^23 rounds to an integer without SSE4.1.
    const ROUND: f32 = 12_582_912.0;
    // Above 127.5 ln 2 the power of two is 128, which is infinity's exponent; a higher one would spill into the sign.
    let clamped = x.clamp(-87.3, 88.7);
    let rounded = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.987_569_2e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let mantissa = p * (r * r) + r + 1.0;
    // The integer is in the last bits of the rounded number, so that no cast is needed: a cast of a float saturates, one
    // element at a time. NaN stays in the mantissa whatever comes out here.
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    let scale = f32::from_bits(exponent << 23);
    if x < -87.3 { 0.0 } else { mantissa * scale }
}

/// The logistic function.
#[inline(always)]
#[must_use]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, to about 4 ulp. NaN stays NaN.
#[inline(always)]
#[must_use]
pub fn tanh(x: f32) -> f32 {
    // The series up to x⁹ where the difference below cancels.
    let square = x * x;
    let series = square * (square * (square * (62.0 / 2835.0) - 17.0 / 315.0) + 2.0 / 15.0);
    let near = x + x * square * (series - 1.0 / 3.0);
    let far = 1.0 - 2.0 / (1.0 + exp(2.0 * x));
    if x.abs() < 0.25 { near } else { far }
}

/// Bounds every element smoothly: cap · tanh(x / cap), whose slope is `1 - (y / cap)²` at a result y.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
pub fn soft_cap(x: &mut [f32], cap: f32) {
    for x in x {
        *x = cap * tanh(*x / cap);
    }
}

/// Σ a·b.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; PARTIAL_SUMS];
    let (a_chunks, b_chunks) = (a.chunks_exact(PARTIAL_SUMS), b.chunks_exact(PARTIAL_SUMS));
    let tail: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for i in 0..PARTIAL_SUMS {
            lanes[i] += a[i] * b[i];
        }
    }
    fold(&lanes) + tail
}

/// Σ (a·b)·c, to the bit what [`dot`] gives for the products a·b and c.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
#[must_use]
pub fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; PARTIAL_SUMS];
    let chunks =
        (a.chunks_exact(PARTIAL_SUMS), b.chunks_exact(PARTIAL_SUMS), c.chunks_exact(PARTIAL_SUMS));
    let rests = chunks.0.remainder().iter().zip(chunks.1.remainder()).zip(chunks.2.remainder());
    let tail: f32 = rests.map(|((a, b), c)| a * b * c).sum();
    for ((a, b), c) in chunks.0.zip(chunks.1).zip(chunks.2) {
        for i in 0..PARTIAL_SUMS {
            lanes[i] += a[i] * b[i] * c[i];
        }
    }
    fold(&lanes) + tail
}

/// Σ x².
#[must_use]
pub fn sum_of_squares(x: &[f32]) -> f32 {
    dot(x, x)
}

/// The largest element; negative infinity for an empty slice. NaN elements are passed over.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
#[must_use]
pub fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; PARTIAL_SUMS];
    let chunks = x.chunks_exact(PARTIAL_SUMS);
    let tail =
        chunks.remainder().iter().fold(f32::NEG_INFINITY, |m, x| if *x > m { *x } else { m });
    for chunk in chunks {
        for i in 0..PARTIAL_SUMS {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    tail.max(largest(&lanes))
}

/// Replaces every x by exp(x - shift) and returns the sum.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
pub fn exp_shifted(x: &mut [f32], shift: f32) -> f32 {
    let mut lanes = [0.0_f32; PARTIAL_SUMS];
    let mut chunks = x.chunks_exact_mut(PARTIAL_SUMS);
    for chunk in &mut chunks {
        for i in 0..PARTIAL_SUMS {
            chunk[i] = exp(chunk[i] - shift);
            lanes[i] += chunk[i];
        }
    }
    let mut tail = 0.0;
    for x in chunks.into_remainder() {
        *x = exp(*x - shift);
        tail += *x;
    }
    fold(&lanes) + tail
}

/// Multiplies every element by `factor`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
pub fn scale(x: &mut [f32], factor: f32) {
    for x in x {
        *x *= factor;
    }
}

/// Adds the lanes in a fixed tree.
///
/// Never inlined: seen together with it, the loop that fills the lanes is vectorised by pairs, as the end of this tree is.
#[inline(never)]
fn fold(lanes: &[f32; PARTIAL_SUMS]) -> f32 {
    let halves: [f32; 16] = from_fn(|i| lanes[i] + lanes[i + 16]);
    let quarters: [f32; 8] = from_fn(|i| halves[i] + halves[i + 8]);
    let eighths: [f32; 4] = from_fn(|i| quarters[i] + quarters[i + 4]);
    (eighths[0] + eighths[2]) + (eighths[1] + eighths[3])
}

/// The largest lane, none of which is NaN. Never inlined, for the reason above.
#[inline(never)]
fn largest(lanes: &[f32; PARTIAL_SUMS]) -> f32 {
    lanes.iter().fold(f32::NEG_INFINITY, |m, x| if *x > m { *x } else { m })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::uniform;

    #[test]
    fn exp_is_within_two_ulp() {
        for i in -873_000..=883_762 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.5e-7, "exp({x}) is off by {error:e}");
        }
        for x in [-87.301, -88.0, -1e30, f32::NEG_INFINITY] {
            assert_eq!(exp(x).to_bits(), 0, "exp({x})");
        }
        for x in [88.377, 88.7, 88.8, 1e30, f32::INFINITY] {
            assert_eq!(exp(x), f32::INFINITY, "exp({x})");
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_is_within_a_few_ulp() {
        for i in -120_000..=120_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x).tanh();
            let error = (f64::from(tanh(x)) - exact).abs() / exact.abs().max(1e-30);
            assert!(error < 5e-7, "tanh({x}) is off by {error:e}");
        }
        assert_eq!([1e-20, 50.0, 1e30, f32::INFINITY].map(tanh), [1e-20, 1.0, 1.0, 1.0]);
        assert_eq!([-50.0, -1e30, f32::NEG_INFINITY].map(tanh), [-1.0; 3]);
        assert!(tanh(f32::NAN).is_nan());
    }

    #[test]
    fn reductions_handle_every_length() {
        for n in [0, 1, 31, 32, 33, 100, 257] {
            let x: Vec<f32> = (0..n).map(|i| ((i * 37 % 19) as f32) - 9.0).collect();
            let sum: f32 = x.iter().map(|x| x * x).sum();
            assert!((dot(&x, &x) - sum).abs() <= 1e-5 * sum.max(1.0));
            let (y, w) = (uniform(1, n), uniform(2, n));
            let products: Vec<f32> = y.iter().zip(&w).map(|(y, w)| y * w).collect();
            assert_eq!(dot3(&y, &w, &x).to_bits(), dot(&products, &x).to_bits());
            assert_eq!(
                max(&x).to_bits(),
                x.iter().copied().fold(f32::NEG_INFINITY, f32::max).to_bits()
            );
            let mut y = x.clone();
            let total = exp_shifted(&mut y, 3.0);
            let expected: f64 = x.iter().map(|x| f64::from(x - 3.0).exp()).sum();
            assert!((f64::from(total) - expected).abs() <= 1e-5 * expected.max(1e-6));
        }
    }
}
