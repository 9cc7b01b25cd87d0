//! Tiles by the dot products of AVX-512.
#![expect(unsafe_code, reason = "a SIMD leaf")]

use super::{EDGE, Sums};
use std::arch::x86_64::{
    __cpuid, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_setzero_ps, _mm512_storeu_ps, CpuidResult,
};

/// Rows that are summed at once: with two vectors of columns, sixteen sums hide the latency of a dot product.
const ROWS: usize = 8;

pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512f")
}

/// Whether a dot product, which does twice the work of a multiply-add in f32, is done as often or nearly: on CPUs by AMD.
/// Those by Intel begin one in two cycles, where they begin four multiply-adds.
pub(super) fn outruns_f32() -> bool {
    is_by_amd(__cpuid(0))
}

fn is_by_amd(CpuidResult { ebx, edx, ecx, .. }: CpuidResult) -> bool {
    [ebx, edx, ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
}

pub(super) fn sums(a: &[u32], b: &[u32], sums: &mut Sums) {
    let pairs = a.len() / EDGE;
    for (rows, sums) in a.chunks_exact(ROWS * pairs).zip(sums.as_chunks_mut::<ROWS>().0) {
        // SAFETY: the unit is taken only where `is_available` holds, and the rows are whole.
        unsafe { strip(rows, b, pairs, sums) };
    }
}

/// # Safety
/// The CPU has AVX512-BF16. A is `[ROWS, pairs]`.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn strip(a: &[u32], b: &[u32], pairs: usize, out: &mut [[f32; EDGE]; ROWS]) {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (pair, b) in b.as_chunks::<EDGE>().0[..pairs].iter().enumerate() {
        let (left, right) = b.split_at(EDGE / 2);
        let (left, right) = (vector(left), vector(right));
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: a row of A has the pairs that are counted here. A check for each would take a tenth of the time.
            let word = unsafe { *a.get_unchecked(row * pairs + pair) };
            let a = as_pairs(_mm512_set1_epi32(word.cast_signed()));
            sums[0] = _mm512_dpbf16_ps(sums[0], a, left);
            sums[1] = _mm512_dpbf16_ps(sums[1], a, right);
        }
    }
    for (sums, out) in sums.into_iter().zip(out) {
        for (sum, out) in sums.into_iter().zip(out.as_chunks_mut::<16>().0) {
            // SAFETY: sixteen floats are the 64 bytes that are written.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn vector(pairs: &[u32]) -> __m512bh {
    assert_eq!(pairs.len(), 16);
    // SAFETY: sixteen words are the 64 bytes that are read.
    as_pairs(unsafe { _mm512_loadu_si512(pairs.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn as_pairs(words: __m512i) -> __m512bh {
    // SAFETY: both types are 64 bytes of which every value is one of the other.
    unsafe { std::mem::transmute(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maker_of_a_cpu_is_told_by_its_name() {
        let leaf = |ebx, edx, ecx| CpuidResult { eax: 0x10, ebx, ecx, edx };
        assert!(is_by_amd(leaf(0x6874_7541, 0x6974_6e65, 0x444d_4163)));
        assert!(!is_by_amd(leaf(0x756e_6547, 0x4965_6e69, 0x6c65_746e)));
    }
}
