//! What a program has to do, for profiles and rooflines.

use crate::element::Element;
use crate::formats::Format;

/// The arithmetic and the traffic that an operation's formula asks for, however it is launched.
///
/// Sequential operands count once, since a perfect kernel moves them once; gathered and scattered ones count at every
/// access. A program that works on a window of an operand counts as if all of its entries lay in the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Work {
    /// The formula's sizes in its own order, 0 where it has fewer.
    pub shape: [usize; 3],
    /// The stored format that is decoded, if one is.
    pub format: Option<Format>,
    /// Floating-point operations: a multiply-add is two, a root, exponential or division one.
    pub flops: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

impl Work {
    /// So many operations per entry of the shape, on `words` 32-bit words.
    #[must_use]
    pub fn new<const N: usize>(sizes: [usize; N], flops: u64, words: usize) -> Self {
        let mut shape = [0; 3];
        shape[..N].copy_from_slice(&sizes);
        // Counts of operations need 64 bits on every target.
        let entries: u64 = sizes.into_iter().map(|size| size as u64).product();
        Self { shape, format: None, flops: flops * entries, bytes: 4 * words as u64 }
    }

    /// Also does what `other` does, in the same call.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { flops: self.flops + other.flops, bytes: self.bytes + other.bytes, ..self }
    }

    /// What each of so many launches has of it, as if all had the same.
    #[must_use]
    pub fn shared_by(self, launches: usize) -> Self {
        let part = |amount: u64| amount.div_ceil(launches.max(1) as u64);
        Self { flops: part(self.flops), bytes: part(self.bytes), ..self }
    }

    /// Also reads `elements` weights stored in `format`.
    #[must_use]
    pub fn decoding(self, format: Format, elements: usize) -> Self {
        let bytes = self.bytes + format.bytes(elements) as u64;
        Self { format: Some(format), bytes, ..self }
    }

    /// Also moves so many elements of this type.
    #[must_use]
    pub fn moving(self, element: Element, elements: usize) -> Self {
        Self { bytes: self.bytes + (element.bytes() * elements) as u64, ..self }
    }
}

/// Accesses of a binary search among `count` entries.
pub(crate) fn search(count: usize) -> usize {
    count.next_power_of_two().trailing_zeros() as usize
}
