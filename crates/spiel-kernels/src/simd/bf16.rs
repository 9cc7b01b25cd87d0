//! Tiles of products of bf16 numbers, summed in f32, by the units that some CPUs have for them.
//!
//! Numbers come in pairs along k, one pair a word, the earlier number in the lower half.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;

use std::marker::PhantomData;
use std::sync::OnceLock;

/// Rows and columns of a tile of sums.
pub(crate) const EDGE: usize = 32;

/// Pairs that every operand's length is a multiple of.
pub(crate) const PAIRS: usize = 16;

/// A tile of sums.
pub(crate) type Sums = [[f32; EDGE]; EDGE];

/// What multiplies pairs. There are none but those that the CPU has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Advanced Matrix Extensions: tiles of 16 by 16, by Intel since Sapphire Rapids.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Amx,
    /// The dot products of AVX-512, by Intel since Cooper Lake and AMD since Zen 4.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Loops, which any CPU runs and none is offered: what the others must agree with.
    Plain,
}

impl Unit {
    /// The best unit that the CPU says it has and the system lets this process use.
    #[must_use]
    pub fn offered() -> Option<Self> {
        static OFFERED: OnceLock<Option<Unit>> = OnceLock::new();
        *OFFERED.get_or_init(|| Self::all().into_iter().find(|unit| unit.0 != Kind::Plain))
    }

    /// The units of this CPU, the best one first, plain loops last.
    pub(crate) fn all() -> Vec<Self> {
        let mut kinds = Vec::new();
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if amx::is_available() {
            kinds.push(Kind::Amx);
        }
        #[cfg(target_arch = "x86_64")]
        if avx512::is_available() {
            kinds.push(Kind::Avx512);
        }
        kinds.push(Kind::Plain);
        kinds.into_iter().map(Self).collect()
    }

    /// The units that tests run: those of this CPU, and those whose instructions can be emulated.
    #[cfg(test)]
    pub(crate) fn tested() -> Vec<Self> {
        let mut units = Self::all();
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        {
            amx::make_available();
            let amx = Self(Kind::Amx);
            if !units.contains(&amx) {
                units.push(amx);
            }
        }
        units
    }

    /// The name of its instructions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Kind::Amx => "AMX",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX512-BF16",
            Kind::Plain => "loops",
        }
    }

    /// Whether it is faster than products in f32.
    #[must_use]
    pub fn outruns_f32(self) -> bool {
        match self.0 {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Kind::Amx => true,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => avx512::outruns_f32(),
            Kind::Plain => false,
        }
    }

    /// Whether a tile of small whole numbers, whose sums are exact, comes out as it must.
    #[must_use]
    pub fn is_right(self) -> bool {
        let number = |i: usize| half::bf16::from_f32((i * 7 % 19) as f32 - 9.0).to_bits();
        let word = |i: usize| u32::from(number(2 * i)) | u32::from(number(2 * i + 1)) << 16;
        // Rows of A and of B differ in length, so that one cannot pass for the other.
        let words = EDGE * 3 * PAIRS;
        let a: Vec<u32> = (0..words).map(word).collect();
        let b: Vec<u32> = (0..words).map(|i| word(i + 5)).collect();
        let (mut sums, mut expected) = ([[f32::NAN; EDGE]; EDGE], [[0.0; EDGE]; EDGE]);
        self.prepared(|tiles| tiles.sums(&a, &b, &mut sums));
        multiply_plainly(&a, &b, &mut expected);
        sums == expected
    }

    /// Makes the unit ready on this thread for as long as `work` runs.
    pub(crate) fn prepared(self, work: impl FnOnce(&Tiles)) {
        let work = || work(&Tiles(self.0, PhantomData));
        match self.0 {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Kind::Amx => amx::with_tiles(work),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => work(),
            Kind::Plain => work(),
        }
    }
}

/// A unit that is ready on this thread, which alone has this.
pub(crate) struct Tiles(Kind, PhantomData<*const ()>);

impl Tiles {
    /// The sums of 32 rows of A, `[32, pairs]`, times 32 columns of B, `[pairs, 32]`.
    ///
    /// # Panics
    /// When the operands are empty, not equally long, or no multiple of [`PAIRS`].
    pub(crate) fn sums(&self, a: &[u32], b: &[u32], sums: &mut Sums) {
        assert_eq!(a.len(), b.len(), "operands differ in length");
        let is_whole = a.len().is_multiple_of(EDGE * PAIRS) && !a.is_empty();
        assert!(is_whole, "{} words are no whole tiles", a.len());
        match self.0 {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Kind::Amx => amx::sums(a, b, sums),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => avx512::sums(a, b, sums),
            Kind::Plain => multiply_plainly(a, b, sums),
        }
    }
}

/// What every unit computes, but for roundings.
fn multiply_plainly(a: &[u32], b: &[u32], sums: &mut Sums) {
    let pairs = a.len() / EDGE;
    let halves = |word: u32| [f32::from_bits(word << 16), f32::from_bits(word & 0xFFFF_0000)];
    for (row, sums) in a.chunks(pairs).zip(sums) {
        *sums = [0.0; EDGE];
        for (a, b) in row.iter().zip(b.as_chunks::<EDGE>().0) {
            let [a_low, a_high] = halves(*a);
            for (sum, b) in sums.iter_mut().zip(b) {
                let [b_low, b_high] = halves(*b);
                *sum += a_low * b_low + a_high * b_high;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::uniform;

    #[test]
    fn every_unit_is_right() {
        for unit in Unit::tested() {
            assert!(unit.is_right(), "{unit:?}");
        }
    }

    #[test]
    fn units_agree_with_plain_loops_whatever_the_length() {
        // Whole numbers, whose sums are exact in any order.
        let words = |seed: u32, pairs: usize| -> Vec<u32> {
            let number = |x: &f32| u32::from(half::bf16::from_f32((x * 100.0).round()).to_bits());
            let pair = |x: &[f32; 2]| number(&x[0]) | number(&x[1]) << 16;
            uniform(seed, EDGE * pairs * 2).as_chunks().0.iter().map(pair).collect()
        };
        for unit in Unit::tested() {
            unit.prepared(|tiles| {
                for pairs in [1, 2, 3, 16, 1, 17].map(|tiles| tiles * PAIRS) {
                    let (a, b) = (words(1, pairs), words(2, pairs));
                    let (mut sums, mut expected) = ([[f32::NAN; EDGE]; EDGE], [[0.0; EDGE]; EDGE]);
                    tiles.sums(&a, &b, &mut sums);
                    multiply_plainly(&a, &b, &mut expected);
                    assert!(sums == expected, "{pairs} pairs by {unit:?}");
                }
            });
        }
    }

    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    #[test]
    fn amx_is_tested_everywhere_and_offered_where_the_cpu_has_it() {
        let amx = Unit(Kind::Amx);
        assert!(Unit::tested().contains(&amx));
        assert_eq!(Unit::all().contains(&amx), amx::is_available());
    }
}
