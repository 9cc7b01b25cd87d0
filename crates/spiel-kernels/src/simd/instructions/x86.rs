//! Instructions of x86-64.
#![expect(unsafe_code, reason = "a SIMD leaf")]

use super::{Instructions, Kernel};
use std::arch::asm;
use std::arch::x86_64::{
    __m128, __m256, __m512, _MM_HINT_T0, _MM_HINT_T1, _mm_loadl_epi64, _mm_loadu_si128,
    _mm_prefetch, _mm_storeu_ps, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_set1_ps, _mm256_storeu_ps, _mm512_add_ps,
    _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32, _mm512_cvtph_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_permutexvar_ps, _mm512_set1_ps, _mm512_shuffle_f32x4,
    _mm512_shuffle_ps, _mm512_srli_epi32, _mm512_storeu_ps,
};
use std::array::from_fn;

/// AVX2, FMA and F16C.
#[derive(Clone, Copy)]
struct Avx2(());

/// AVX-512, foundation and shorter vectors, which has all of `Avx2`.
#[derive(Clone, Copy)]
struct Avx512(());

/// Runs a loop with more than plain instructions, on vectors of at most so many bits, or hands it back where there are
/// none.
pub(super) fn run_best<K: Kernel>(kernel: K, widest: u32) -> Result<(), K> {
    if widest >= 512 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
    {
        // SAFETY: the CPU has these instructions.
        unsafe { run_avx512(kernel) };
    } else if widest >= 256
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
    {
        // SAFETY: the CPU has these instructions.
        unsafe { run_avx2(kernel) };
    } else {
        return Err(kernel);
    }
    Ok(())
}

#[target_feature(enable = "avx512f,avx512vl")]
fn run_avx512(kernel: impl Kernel) {
    kernel.run(Avx512(()));
}

#[target_feature(enable = "avx2,fma,f16c")]
fn run_avx2(kernel: impl Kernel) {
    kernel.run(Avx2(()));
}

impl Instructions for Avx2 {
    type Vector = [__m256; 2];

    const SUMS: usize = 4;

    #[inline(always)]
    fn load(self, numbers: &[f32; 16]) -> [__m256; 2] {
        let (low, high) = numbers.split_at(8);
        // SAFETY: the CPU has AVX; eight numbers of each half are read.
        unsafe { [_mm256_loadu_ps(low.as_ptr()), _mm256_loadu_ps(high.as_ptr())] }
    }

    #[inline(always)]
    fn store(self, vector: [__m256; 2], numbers: &mut [f32; 16]) {
        for (half, numbers) in vector.into_iter().zip(numbers.as_chunks_mut::<8>().0) {
            // SAFETY: the CPU has AVX; eight numbers are written.
            unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), half) };
        }
    }

    #[inline(always)]
    fn splat(self, number: f32) -> [__m256; 2] {
        // SAFETY: the CPU has AVX.
        [unsafe { _mm256_set1_ps(number) }; 2]
    }

    #[inline(always)]
    fn fused(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: the CPU has FMA.
        from_fn(|half| unsafe { _mm256_fmadd_ps(a[half], b[half], c[half]) })
    }

    #[inline(always)]
    fn four_halves(self, bytes: &[u8; 8]) -> [f32; 4] {
        let mut numbers = [0.0; 4];
        // In assembly, since of a load that is not all needed the compiler keeps as much as is, by an instruction that waits
        // for whatever its register held: the sum so far.
        // SAFETY: the CPU has F16C; eight bytes are read and four numbers written.
        unsafe {
            let register: __m128;
            asm!(
                "vcvtph2ps {numbers}, qword ptr [{bytes}]",
                numbers = lateout(xmm_reg) register,
                bytes = in(reg) bytes.as_ptr(),
                options(pure, readonly, nostack),
            );
            _mm_storeu_ps(numbers.as_mut_ptr(), register);
        }
        numbers
    }

    #[inline(always)]
    fn numbers(self, codes: [i8; 16]) -> [f32; 16] {
        let mut numbers = [0.0; 16];
        for (codes, numbers) in codes.chunks_exact(8).zip(numbers.chunks_exact_mut(8)) {
            // SAFETY: the CPU has AVX2; eight codes are read and eight numbers written.
            unsafe {
                let codes = _mm256_cvtepi8_epi32(_mm_loadl_epi64(codes.as_ptr().cast()));
                _mm256_storeu_ps(numbers.as_mut_ptr(), _mm256_cvtepi32_ps(codes));
            }
        }
        numbers
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8], ahead: usize) {
        // SAFETY: a hint, for which any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(ahead).cast()) };
    }

    #[inline(always)]
    fn prefetch_far(self, bytes: &[u8], ahead: usize) {
        // SAFETY: a hint, for which any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().wrapping_add(ahead).cast()) };
    }
}

impl Instructions for Avx512 {
    type Vector = __m512;

    const SUMS: usize = 24;

    #[inline(always)]
    fn load(self, numbers: &[f32; 16]) -> __m512 {
        // SAFETY: the CPU has AVX-512; sixteen numbers are read.
        unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, vector: __m512, numbers: &mut [f32; 16]) {
        // SAFETY: the CPU has AVX-512; sixteen numbers are written.
        unsafe { _mm512_storeu_ps(numbers.as_mut_ptr(), vector) };
    }

    #[inline(always)]
    fn splat(self, number: f32) -> __m512 {
        // SAFETY: the CPU has AVX-512.
        unsafe { _mm512_set1_ps(number) }
    }

    #[inline(always)]
    fn fused(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the CPU has AVX-512.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn sums_of(self, lanes: &[[f32; 16]; 16]) -> [f32; 16] {
        // SAFETY: the CPU has AVX-512.
        unsafe { transposed_sums_of(lanes) }
    }

    #[inline(always)]
    fn four_halves(self, bytes: &[u8; 8]) -> [f32; 4] {
        Avx2(()).four_halves(bytes)
    }

    #[inline(always)]
    fn sixteen_halves(self, bytes: &[u8; 32]) -> [f32; 16] {
        // SAFETY: the CPU has AVX-512; 32 bytes are read.
        numbers_of(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(bytes.as_ptr().cast())) })
    }

    #[inline(always)]
    fn numbers(self, codes: [i8; 16]) -> [f32; 16] {
        // SAFETY: the CPU has AVX-512; sixteen codes are read.
        numbers_of(unsafe {
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(codes.as_ptr().cast())))
        })
    }

    /// A table is as fast as a mask, a conversion and a difference together.
    #[inline(always)]
    fn nibbles(self, bytes: &[u8; 16], zero: i8) -> [[f32; 16]; 2] {
        self.levels(&from_fn(|code| code as f32 - f32::from(zero)), bytes)
    }

    #[inline(always)]
    fn levels(self, levels: &[f32; 16], bytes: &[u8; 16]) -> [[f32; 16]; 2] {
        // SAFETY: the CPU has AVX-512; sixteen levels and sixteen bytes are read. Of an index four bits count.
        unsafe {
            let levels = _mm512_loadu_ps(levels.as_ptr());
            let codes = _mm512_cvtepu8_epi32(_mm_loadu_si128(bytes.as_ptr().cast()));
            let low = numbers_of(_mm512_permutexvar_ps(codes, levels));
            let high = numbers_of(_mm512_permutexvar_ps(_mm512_srli_epi32::<4>(codes), levels));
            [low, high]
        }
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8], ahead: usize) {
        Avx2(()).prefetch(bytes, ahead);
    }

    #[inline(always)]
    fn prefetch_far(self, bytes: &[u8], ahead: usize) {
        Avx2(()).prefetch_far(bytes, ahead);
    }
}

/// Adds halves, quarters and so on of two vectors at a time, which takes a sixteenth as many sums as one by one.
#[target_feature(enable = "avx512f")]
fn transposed_sums_of(lanes: &[[f32; 16]; 16]) -> [f32; 16] {
    // SAFETY: sixteen numbers are read.
    let load = |i: usize| unsafe { _mm512_loadu_ps(lanes[i].as_ptr()) };
    // Four vectors become four lanes of each, side by side.
    let [a, b, c, d] = from_fn(|i| {
        let halves = |a: __m512, b: __m512| {
            _mm512_add_ps(
                _mm512_shuffle_f32x4::<0b01_00_01_00>(a, b),
                _mm512_shuffle_f32x4::<0b11_10_11_10>(a, b),
            )
        };
        let (near, far) = (halves(load(i), load(i + 4)), halves(load(i + 8), load(i + 12)));
        let even = _mm512_shuffle_f32x4::<0b10_00_10_00>(near, far);
        _mm512_add_ps(even, _mm512_shuffle_f32x4::<0b11_01_11_01>(near, far))
    });
    let pairs = |a: __m512, b: __m512| {
        _mm512_add_ps(
            _mm512_shuffle_ps::<0b01_00_01_00>(a, b),
            _mm512_shuffle_ps::<0b11_10_11_10>(a, b),
        )
    };
    let (near, far) = (pairs(a, b), pairs(c, d));
    let even = _mm512_shuffle_ps::<0b10_00_10_00>(near, far);
    numbers_of(_mm512_add_ps(even, _mm512_shuffle_ps::<0b11_01_11_01>(near, far)))
}

/// The sixteen numbers of a register.
#[inline(always)]
fn numbers_of(register: __m512) -> [f32; 16] {
    let mut numbers = [0.0; 16];
    // SAFETY: a register comes from a CPU with AVX-512; sixteen numbers are written.
    unsafe { _mm512_storeu_ps(numbers.as_mut_ptr(), register) };
    numbers
}
