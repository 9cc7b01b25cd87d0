use crate::parallel::{chunks_mut, threads};
use crate::program::Work;
use crate::simd::bf16::{EDGE, Unit};
use crate::simd::lanes;
use multiversion::multiversion;
use multiversion::target::target_cfg_f;
use std::hint::black_box;

/// Multiply-adds that a thread makes in one call: about a millisecond, so that some calls have the cores to themselves
/// on a machine with other work too.
const MULTIPLY_ADDS: usize = 1 << 26;
/// Words that a task copies.
const COPY_TASK: usize = 1 << 18;

/// Multiply-adds on registers alone, on all threads.
pub fn fma_probe() {
    // Parameters that are not known here are not folded into the text; a factor below one keeps the sums finite.
    let (factor, term) = black_box((0.999, 0.001));
    let mut sums = vec![0.0; threads()];
    chunks_mut(&mut sums, 1, |_, sum| sum[0] = multiply_add(factor, term));
    black_box(sums);
}

/// What that has to do on so many threads.
#[must_use]
pub fn fma_probe_work(threads: usize) -> Work {
    Work::new([threads, MULTIPLY_ADDS], 2, 0)
}

/// Pairs in a row of the operands of a probe's product, both of which the first-level cache holds.
const PROBE_PAIRS: usize = 128;
/// Products that a thread makes in one call.
const PRODUCTS: usize = 256;

/// Products of pairs in bf16 on operands that stay in the first-level cache, on all threads.
pub fn bf16_probe(unit: Unit) {
    chunks_mut(&mut vec![0.0; threads()], 1, |_, last| {
        let operands = black_box([0x3F80_3F80_u32; EDGE * PROBE_PAIRS]);
        let mut sums = [[0.0; EDGE]; EDGE];
        unit.prepared(|tiles| {
            for _ in 0..PRODUCTS {
                tiles.sums(&operands, black_box(&operands), &mut sums);
            }
        });
        last[0] = black_box(sums)[0][0];
    });
}

/// What that has to do on so many threads.
#[must_use]
pub fn bf16_probe_work(threads: usize) -> Work {
    Work::new([threads * PRODUCTS, EDGE * EDGE, 2 * PROBE_PAIRS], 2, 0)
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn multiply_add(factor: f32, term: f32) -> f32 {
    const WIDE: bool = target_cfg_f!(target_feature = "avx512f");
    // Where there is no such instruction, a function would be called for every single number instead.
    const FUSED: bool = WIDE || target_cfg_f!(any(target_feature = "fma", target_feature = "neon"));
    // As many chains as keep every unit busy, and no more than registers hold.
    const CHAINS: usize = if WIDE { 256 } else { 64 };
    if !FUSED {
        return multiply_add_lanes(factor, term);
    }
    let mut sums = [1.0_f32; CHAINS];
    for _ in 0..MULTIPLY_ADDS / CHAINS {
        for sum in &mut sums {
            *sum = sum.mul_add(factor, term);
        }
    }
    sums.iter().sum()
}

/// The same by what products use where nothing fuses: in WebAssembly, its relaxed instruction.
fn multiply_add_lanes(factor: f32, term: f32) -> f32 {
    const CHAINS: usize = 8;
    let (factor, term) = (lanes::splat(factor), lanes::splat(term));
    let mut sums = [lanes::splat(1.0); CHAINS];
    for _ in 0..MULTIPLY_ADDS / (4 * CHAINS) {
        for sum in &mut sums {
            *sum = lanes::multiply_add(*sum, factor, term);
        }
    }
    let mut each = [0.0; 4];
    sums.into_iter().fold(0.0, |total, sum| {
        lanes::store(sum, &mut each);
        total + each.iter().sum::<f32>()
    })
}

/// Copies, on all threads.
///
/// # Panics
/// When `from` is shorter than `to`.
pub fn copy_probe(from: &[u32], to: &mut [u32]) {
    let from = &from[..to.len()];
    chunks_mut(to, COPY_TASK, |task, to| {
        to.copy_from_slice(&from[task * COPY_TASK..][..to.len()]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stay_finite() {
        for sum in [multiply_add(0.999, 0.001), multiply_add_lanes(0.999, 0.001)] {
            assert!(sum.is_finite() && sum > 1.0, "{sum}");
        }
    }

    #[test]
    fn every_word_is_copied() {
        let from: Vec<u32> = (0..COPY_TASK as u32 + 9).collect();
        let mut to = vec![0; COPY_TASK + 5];
        copy_probe(&from, &mut to);
        assert_eq!(to, from[..to.len()]);
    }
}
