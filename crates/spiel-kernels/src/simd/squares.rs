//! Squares of eight by eight, transposed in registers by CPUs with AVX.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "a SIMD leaf"))]

/// Edge of a square.
#[cfg(target_arch = "x86_64")]
const EDGE: usize = 8;

/// Writes `rows` rows of `x`, `stride` apart, as columns of `out`, whose rows are `width` apart. Says whether it did: only
/// where a square fits, and only where the CPU has the instructions.
///
/// Squares at the ends overlap those before them, which write the same there.
///
/// # Panics
/// When either side is too short.
#[cfg(target_arch = "x86_64")]
pub(crate) fn move_squares(
    x: &[f32],
    stride: usize,
    (rows, columns): (usize, usize),
    out: &mut [f32],
    width: usize,
) -> bool {
    if rows < EDGE || columns < EDGE || !is_x86_feature_detected!("avx") {
        return false;
    }
    let end =
        |lines: usize, stride: usize, width| (lines - 1).checked_mul(stride)?.checked_add(width);
    assert!(end(rows, stride, columns).is_some_and(|end| end <= x.len()), "x is too short");
    assert!(end(columns, width, rows).is_some_and(|end| end <= out.len()), "out is too short");
    // Two squares one below the other fill a line of the cache in each row of `out`.
    for top in (0..rows).step_by(2 * EDGE) {
        for left in (0..columns).step_by(EDGE) {
            let left = left.min(columns - EDGE);
            for row in (top..rows.min(top + 2 * EDGE)).step_by(EDGE) {
                let row = row.min(rows - EDGE);
                let (x, out) = (&x[row * stride + left..], &mut out[left * width + row..]);
                // SAFETY: the CPU has AVX, and the square lies inside both sides, as was asserted.
                unsafe { avx::move_square(x, stride, out, width) };
            }
        }
    }
    true
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn move_squares(
    _: &[f32],
    _: usize,
    _: (usize, usize),
    _: &mut [f32],
    _: usize,
) -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
mod avx {
    use super::EDGE;
    use std::arch::x86_64::{
        _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_shuffle_ps, _mm256_storeu_ps,
        _mm256_unpackhi_ps, _mm256_unpacklo_ps,
    };

    /// # Safety
    /// The CPU has AVX. Eight rows of eight lie in `x` at its stride, and as many in `out` at its width.
    #[target_feature(enable = "avx")]
    pub(super) unsafe fn move_square(x: &[f32], stride: usize, out: &mut [f32], width: usize) {
        // SAFETY: the caller's promise.
        let row = |row: usize| unsafe { _mm256_loadu_ps(x.as_ptr().add(row * stride)) };
        // Rows two by two, then four by four, within each half of a register; then the halves.
        let mut fours = [[row(0); 4]; 2];
        for (half, fours) in fours.iter_mut().enumerate() {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| row(half * 4 + i));
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            *fours = [
                _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd),
                _mm256_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high),
            ];
        }
        let [upper, lower] = fours;
        for i in 0..EDGE / 2 {
            let near = _mm256_permute2f128_ps::<0x20>(upper[i], lower[i]);
            let far = _mm256_permute2f128_ps::<0x31>(upper[i], lower[i]);
            // SAFETY: the caller's promise.
            unsafe {
                _mm256_storeu_ps(out.as_mut_ptr().add(i * width), near);
                _mm256_storeu_ps(out.as_mut_ptr().add((i + EDGE / 2) * width), far);
            }
        }
    }
}
