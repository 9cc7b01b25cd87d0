//! What products have to do, on any device.

use crate::element::Element;
use crate::formats::Format;
use crate::program::Work;

/// Of C `[m, n]` (+)= A `[m, k]` · B `[k, n]`, B of elements of this type.
#[must_use]
pub fn product_work([m, n, k]: [usize; 3], element: Element, accumulate: bool) -> Work {
    let words = m * k + m * n * (1 + usize::from(accumulate));
    match element {
        Element::F32 => Work::new([m, n, k], 2, words + k * n),
        Element::F16 => Work::new([m, n, k], 2, words).decoding(Format::F16, k * n),
        Element::Bf16 => Work::new([m, n, k], 2, words).decoding(Format::Bf16, k * n),
    }
}

/// Of y = x·Wᵀ for `tokens` tokens, straight from `rows` stored rows of `inputs` weights.
#[must_use]
pub fn linear_packed_work(format: Format, tokens: usize, [inputs, rows]: [usize; 2]) -> Work {
    Work::new([tokens, rows, inputs], 2, tokens * (inputs + rows)).decoding(format, rows * inputs)
}
