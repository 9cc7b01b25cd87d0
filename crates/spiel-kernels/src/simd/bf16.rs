//! Tiles of products of bf16 numbers, summed in f32, by the units that some CPUs have for them.
//!
//! Numbers come in pairs along k, one pair a word, the earlier number in the lower half.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;

use std::sync::OnceLock;

/// Rows and columns of a tile of sums.
pub(crate) const EDGE: usize = 32;

/// Pairs that every operand's length is a multiple of.
pub(crate) const PAIRS: usize = 16;

/// A tile of sums.
pub(crate) type Sums = [[f32; EDGE]; EDGE];

/// What multiplies pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Advanced Matrix Extensions: tiles of 16 by 16, by Intel since Sapphire Rapids.
    Amx,
    /// The dot products of AVX-512, by Intel since Cooper Lake and AMD since Zen 4.
    Avx512,
    /// Loops that any CPU runs, for tests of what surrounds the units.
    #[cfg(test)]
    Plain,
}

impl Unit {
    /// The best unit that this CPU has and the system lets it use. One that gives wrong sums is none.
    #[must_use]
    pub fn detect() -> Option<Self> {
        static UNIT: OnceLock<Option<Unit>> = OnceLock::new();
        *UNIT.get_or_init(|| Self::present().into_iter().find(|unit| unit.is_right()))
    }

    /// How the unit is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amx => "AMX",
            Self::Avx512 => "AVX512-BF16",
            #[cfg(test)]
            Self::Plain => "plain loops",
        }
    }

    /// The units of this CPU, the best one first.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn present() -> Vec<Self> {
        let mut units = Vec::new();
        #[cfg(target_os = "linux")]
        if amx::is_available() {
            units.push(Self::Amx);
        }
        if avx512::is_available() {
            units.push(Self::Avx512);
        }
        units
    }

    /// The units of this CPU.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn present() -> Vec<Self> {
        Vec::new()
    }

    /// Whether a tile of small whole numbers, whose sums are exact, comes out as it must.
    fn is_right(self) -> bool {
        let number = |i: usize| half::bf16::from_f32((i * 7 % 19) as f32 - 9.0).to_bits();
        let word = |i: usize| u32::from(number(2 * i)) | u32::from(number(2 * i + 1)) << 16;
        let a: Vec<u32> = (0..EDGE * 2 * PAIRS).map(word).collect();
        let b: Vec<u32> = (0..EDGE * 2 * PAIRS).map(|i| word(i + 5)).collect();
        let (mut sums, mut expected) = ([[f32::NAN; EDGE]; EDGE], [[0.0; EDGE]; EDGE]);
        self.prepared(|| self.sums(&a, &b, &mut sums));
        multiply_plainly(&a, &b, &mut expected);
        sums == expected
    }

    /// Runs what calls [`Self::sums`] on this thread.
    pub(crate) fn prepared(self, work: impl FnOnce()) {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Amx => amx::with_tiles(work),
            _ => work(),
        }
    }

    /// The sums of 32 rows of A, `[32, pairs]`, times 32 columns of B, `[pairs, 32]`; inside [`Self::prepared`].
    ///
    /// # Panics
    /// When the operands are not equally long, or no multiple of [`PAIRS`].
    pub(crate) fn sums(self, a: &[u32], b: &[u32], sums: &mut Sums) {
        assert_eq!(a.len(), b.len(), "operands differ in length");
        assert!(a.len().is_multiple_of(EDGE * PAIRS), "{} words are no whole tiles", a.len());
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Amx => amx::sums(a, b, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::sums(a, b, sums),
            #[cfg(test)]
            Self::Plain => multiply_plainly(a, b, sums),
            #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
            _ => unreachable!("{} is not of this target", self.name()),
        }
    }
}

/// What every unit computes, but for roundings.
pub(crate) fn multiply_plainly(a: &[u32], b: &[u32], sums: &mut Sums) {
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

    #[test]
    fn a_unit_that_is_taken_is_right() {
        let present = Unit::present();
        assert!(present.iter().all(|unit| unit.is_right()), "{present:?}");
        assert_eq!(Unit::detect(), present.first().copied());
        assert!(Unit::Plain.is_right());
    }
}
