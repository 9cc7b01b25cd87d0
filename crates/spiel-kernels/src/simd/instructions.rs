//! What a loop may ask of the processor beyond plain Rust, and the choice of the best that it has.

#[cfg(target_arch = "x86_64")]
mod x86;

use super::lanes::{self, Lanes};
use std::array::from_fn;
use std::hint::black_box;

/// Operations on plain arrays that processors have instructions for which the compiler does not find by itself.
///
/// A value of a type that needs such instructions proves that they are there.
pub(crate) trait Instructions: Copy {
    /// Sixteen numbers in registers. Unlike an array it is never put into memory while sums run.
    type Vector: Copy;

    /// Vectors that the registers hold beside a few for operands.
    const SUMS: usize;

    fn load(self, numbers: &[f32; 16]) -> Self::Vector;

    fn store(self, vector: Self::Vector, numbers: &mut [f32; 16]);

    /// The same number sixteen times.
    fn splat(self, number: f32) -> Self::Vector;

    /// a·b + c, rounded once where that takes one instruction.
    fn fused(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// [`Self::fused`] of arrays.
    #[inline(always)]
    fn multiply_add(self, a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        let mut sums = [0.0; 16];
        self.store(self.fused(self.load(&a), self.load(&b), self.load(&c)), &mut sums);
        sums
    }

    /// The sums of the numbers of each, added in a fixed tree.
    #[inline(always)]
    fn sums_of(self, lanes: &[[f32; 16]; 16]) -> [f32; 16] {
        plain_sums_of(lanes)
    }

    /// The numbers that four little-endian half floats are, such as the scale of a block.
    ///
    /// Blocks are computed one by one, each with vectors along it. To the compiler a loop over blocks looks like one to
    /// vectorise across them, which scatters what is decoded; the hint denies it that.
    #[inline(always)]
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "they are read from where they lie")]
    fn four_halves(self, bytes: &[u8; 8]) -> [f32; 4] {
        halves_of(&black_box(*bytes))
    }

    /// The numbers that sixteen little-endian half floats are.
    #[inline(always)]
    fn sixteen_halves(self, bytes: &[u8; 32]) -> [f32; 16] {
        halves_of(bytes)
    }

    /// Codes as numbers.
    #[inline(always)]
    fn numbers(self, codes: [i8; 16]) -> [f32; 16] {
        codes.map(f32::from)
    }

    /// What is left of the low and of the high nibbles when `zero` is taken from them.
    #[inline(always)]
    fn nibbles(self, bytes: &[u8; 16], zero: i8) -> [[f32; 16]; 2] {
        let low = bytes.map(|byte| (byte & 15).cast_signed() - zero);
        let high = bytes.map(|byte| (byte >> 4).cast_signed() - zero);
        [self.numbers(low), self.numbers(high)]
    }

    /// The levels that the low and the high nibbles name.
    #[inline(always)]
    fn levels(self, levels: &[f32; 16], bytes: &[u8; 16]) -> [[f32; 16]; 2] {
        let level = |code: u8| levels[usize::from(code)];
        [bytes.map(|byte| level(byte & 15)), bytes.map(|byte| level(byte >> 4))]
    }

    /// Asks for the cache line that begins so many bytes after `bytes`, or wherever that lies: nothing is read.
    #[inline(always)]
    fn prefetch(self, _bytes: &[u8], _ahead: usize) {}

    /// The same for a line that is read later than those of the nearest cache are kept.
    #[inline(always)]
    fn prefetch_far(self, _bytes: &[u8], _ahead: usize) {}
}

/// Nothing beyond four numbers side by side.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl Instructions for Plain {
    type Vector = [Lanes; 4];

    // Sixteen registers of four numbers, or on ARM twice as many.
    const SUMS: usize = if cfg!(target_arch = "aarch64") { 4 } else { 2 };

    #[inline(always)]
    fn load(self, numbers: &[f32; 16]) -> [Lanes; 4] {
        let parts = numbers.as_chunks().0;
        from_fn(|i| lanes::load(&parts[i]))
    }

    #[inline(always)]
    fn store(self, vector: [Lanes; 4], numbers: &mut [f32; 16]) {
        for (lanes, part) in vector.into_iter().zip(numbers.as_chunks_mut().0) {
            lanes::store(lanes, part);
        }
    }

    #[inline(always)]
    fn splat(self, number: f32) -> [Lanes; 4] {
        [lanes::splat(number); 4]
    }

    #[inline(always)]
    fn fused(self, a: [Lanes; 4], b: [Lanes; 4], c: [Lanes; 4]) -> [Lanes; 4] {
        from_fn(|i| lanes::multiply_add(a[i], b[i], c[i]))
    }
}

/// A loop that is compiled for each set of instructions.
pub(crate) trait Kernel {
    /// Runs it. Implementations are always inlined, so that they are compiled for the instructions they are given.
    fn run(self, instructions: impl Instructions);
}

/// Bits of the widest vectors that loops of this thread may have.
#[cfg(not(test))]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "all vectors are as wide"))]
fn widest() -> u32 {
    u32::MAX
}

#[cfg(all(test, target_arch = "x86_64"))]
use for_tests::widest;

/// Runs a loop with the best instructions that this processor has.
pub(crate) fn run_best(kernel: impl Kernel) {
    #[cfg(target_arch = "x86_64")]
    if let Err(kernel) = x86::run_best(kernel, widest()) {
        kernel.run(Plain);
    }
    #[cfg(not(target_arch = "x86_64"))]
    kernel.run(Plain);
}

/// Never inlined: seen together with it, a loop that fills the lanes is vectorised by pairs, as the end of this tree is.
#[inline(never)]
fn plain_sums_of(lanes: &[[f32; 16]; 16]) -> [f32; 16] {
    from_fn(|i| {
        let halves: [f32; 8] = from_fn(|lane| lanes[i][lane] + lanes[i][lane + 8]);
        let quarters: [f32; 4] = from_fn(|lane| halves[lane] + halves[lane + 4]);
        (quarters[0] + quarters[2]) + (quarters[1] + quarters[3])
    })
}

#[inline(always)]
fn halves_of<const BYTES: usize, const N: usize>(bytes: &[u8; BYTES]) -> [f32; N] {
    from_fn(|i| half_of(u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]])))
}

/// The number that a half float is. `half` would ask for every one what the processor can do.
#[inline(always)]
pub(crate) fn half_of(bits: u16) -> f32 {
    const FRACTION: u32 = 0x3FF;
    const EXPONENT: u32 = 0x7C00;
    const UNIT: f32 = 1.0 / 16_777_216.0; // Of numbers without an exponent.
    let bits = u32::from(bits);
    let (exponent, fraction) = (bits & EXPONENT, bits & FRACTION);
    let magnitude = match exponent {
        0 => (fraction as f32 * UNIT).to_bits(),
        EXPONENT if fraction == 0 => f32::INFINITY.to_bits(),
        EXPONENT => f32::NAN.to_bits() | fraction << 13,
        _ => ((exponent | fraction) << 13) + (112 << 23),
    };
    f32::from_bits(magnitude | (bits & 0x8000) << 16)
}

#[cfg(test)]
pub(crate) mod for_tests {
    use std::cell::Cell;

    thread_local! {
        static WIDEST: Cell<u32> = const { Cell::new(u32::MAX) };
    }

    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "all vectors are as wide"))]
    pub(super) fn widest() -> u32 {
        WIDEST.get()
    }

    /// Runs `test` with each set of instructions that the processor has, on this thread alone; it is told how wide they are
    /// at most.
    pub(crate) fn with_each(test: impl Fn(u32)) {
        for widest in [512, 256, 0] {
            WIDEST.set(widest);
            test(widest);
        }
        WIDEST.set(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::for_tests::with_each;
    use super::*;

    /// Everything that instructions are asked for.
    struct Everything<'a> {
        bytes: &'a [u8; 32],
        levels: &'a [f32; 16],
        found: &'a mut Vec<u32>,
    }

    impl Kernel for Everything<'_> {
        #[inline(always)]
        fn run(self, instructions: impl Instructions) {
            let (first, _) = self.bytes.split_first_chunk().expect("sixteen bytes");
            let (eight, _) = self.bytes.split_first_chunk().expect("eight bytes");
            let all = [
                instructions.four_halves(eight).to_vec(),
                instructions.sixteen_halves(self.bytes).to_vec(),
                instructions.numbers(first.map(u8::cast_signed)).to_vec(),
                instructions.nibbles(first, 8).concat(),
                instructions.levels(self.levels, first).concat(),
                instructions.multiply_add([3.0; 16], *self.levels, [7.0; 16]).to_vec(),
            ];
            let lanes = from_fn(|i| self.levels.map(|level| level / (i + 3) as f32));
            self.found.extend(instructions.sums_of(&lanes).map(f32::to_bits));
            instructions.prefetch(self.bytes, 1 << 20);
            self.found.extend(all.concat().into_iter().map(f32::to_bits));
        }
    }

    #[test]
    fn all_instructions_give_the_bits_of_plain_ones() {
        // Products of few bits, which are the same whether they are rounded once or twice.
        let levels = from_fn(|i| i as f32 - 3.5);
        for first in (0..=u16::MAX - 15).step_by(16) {
            let bytes: Vec<u8> = (first..=first + 15).flat_map(u16::to_le_bytes).collect();
            let bytes = bytes.first_chunk().expect("sixteen halves");
            let mut plain = Vec::new();
            Everything { bytes, levels: &levels, found: &mut plain }.run(Plain);
            with_each(|widest| {
                let mut found = Vec::new();
                run_best(Everything { bytes, levels: &levels, found: &mut found });
                assert_eq!(plain, found, "from {first:#x}, {widest} bits");
            });
        }
    }
}
