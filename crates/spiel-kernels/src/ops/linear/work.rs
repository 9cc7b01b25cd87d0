//! What products have to do, on any device.

use crate::element::Element;
use crate::formats::Format;
use crate::program::Work;

/// Of C `[m, n]` (+)= A `[m, k]` · B `[k, n]`, B of elements of this type.
#[must_use]
pub fn product_work(sizes: [usize; 3], element: Element, accumulate: bool) -> Work {
    match element {
        // There is nothing to decode.
        Element::F32 => {
            Work { format: None, ..stored_product_work(sizes, Format::F32, accumulate) }
        }
        Element::F16 => stored_product_work(sizes, Format::F16, accumulate),
        Element::Bf16 => stored_product_work(sizes, Format::Bf16, accumulate),
    }
}

/// The same where B is read as it is stored.
#[must_use]
pub fn stored_product_work([m, n, k]: [usize; 3], format: Format, accumulate: bool) -> Work {
    let words = m * k + m * n * (1 + usize::from(accumulate));
    Work::new([m, n, k], 2, words).decoding(format, k * n)
}

/// Of y = x·Wᵀ for `tokens` tokens, straight from `rows` stored rows of `inputs` weights.
#[must_use]
pub fn linear_packed_work(format: Format, tokens: usize, [inputs, rows]: [usize; 2]) -> Work {
    Work::new([tokens, rows, inputs], 2, tokens * (inputs + rows)).decoding(format, rows * inputs)
}
