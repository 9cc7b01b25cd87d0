//! What operations have to do that the CPU makes in one call and a GPU in several programs, or by others.

use super::Words;
use crate::device::Factor;
use spiel_kernels::element::Element;
use spiel_kernels::formats::Format;
use spiel_kernels::ops::delta::materialise_work;
use spiel_kernels::ops::embedding::embedding_program;
use spiel_kernels::ops::linear::{linear_packed_work, product_work, stored_product_work};
use spiel_kernels::ops::rms_norm::{
    Norm, rms_norm_backward_program, rms_norm_weight_backward_program,
};
use spiel_kernels::ops::sm3::{Sm3, sm3_accumulate_program, sm3_estimate_program};
use spiel_kernels::program::Work;

/// All rows of a matrix: a program's work does not follow from which part of an operand it is given.
const WHOLE: std::ops::Range<usize> = 0..0;

pub(super) fn embedding(format: Format, tokens: usize, width: usize) -> Work {
    embedding_program(format, tokens, width, &WHOLE).work
}

pub(super) fn rms_norm_backward(
    rows: usize,
    width: usize,
    norm: Norm,
    accumulate: bool,
    trains_weight: bool,
) -> Work {
    let input = rms_norm_backward_program(rows, width, norm, accumulate).work;
    if !trains_weight {
        return input;
    }
    // Rows are read once for both.
    let weight = rms_norm_weight_backward_program(rows, width).work;
    Work { flops: input.flops + weight.flops, ..input.moving(Element::F32, 2 * width) }
}

pub(super) fn round(count: usize) -> Work {
    Work::new([count], 1, count).moving(Element::Bf16, count)
}

/// Deltas that are added to weights before these leave the registers or the nearest cache: each is read, and costs so many
/// operations.
fn deltas_on_the_way(count: usize, operations: u64) -> Work {
    Work::new([count], operations, 2 * count)
}

/// y = W·x for one token, straight from the stored weights.
pub(super) fn linear_packed(format: Format, sizes: [usize; 2], deltas: usize) -> Work {
    linear_packed_work(format, 1, sizes).and(deltas_on_the_way(deltas, 2))
}

/// C `[m, n]` (+)= A `[m, k]` by weights `[k, n]`.
pub(super) fn product(sizes: [usize; 3], weights: &Factor<Words>, accumulate: bool) -> Work {
    match weights {
        Factor::Dense(dense) => product_work(sizes, dense.element, accumulate),
        Factor::Stored(stored) => {
            let deltas = stored.deltas.map_or(0, |(indices, _)| indices.0.len());
            stored_product_work(sizes, stored.format, accumulate).and(deltas_on_the_way(deltas, 1))
        }
    }
}

/// Decodes a matrix and adds its deltas.
pub(super) fn materialise(
    format: Format,
    element: Element,
    elements: usize,
    deltas: usize,
) -> Work {
    materialise_work(format, element, elements).and(deltas_on_the_way(deltas, 1))
}

/// Ranks all entries of a gradient; reads the chosen ones and writes them, their squares and their positions.
pub(super) fn choose_candidates(elements: usize, count: usize) -> Work {
    Work { flops: count as u64, ..Work::new([elements], 0, elements + 4 * count) }
}

/// A dot product over the tokens for each slot of layers with the same input, of so many outputs together. They are
/// transposed on the way, in caches.
pub(super) fn sampled_gradient([tokens, inputs, outputs]: [usize; 3], slots: usize) -> Work {
    Work {
        flops: 2 * slots as u64 * tokens as u64,
        ..Work::new([slots, tokens], 0, tokens * (inputs + outputs) + 3 * slots)
    }
}

pub(super) fn sm3(update: &Sm3, count: usize, width: usize) -> Work {
    sm3_estimate_program(update, count, width).work.and(sm3_accumulate_program(count, width).work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Stored;

    #[test]
    fn deltas_on_the_way_are_read_and_added() {
        let decoded = materialise(Format::Q4_1, Element::F32, 64, 0);
        assert_eq!((decoded.flops, decoded.bytes), (0, 2 * 20 + 4 * 64));
        let with_deltas = materialise(Format::Q4_1, Element::F32, 64, 3);
        let more = |work: Work, than: Work| (work.flops - than.flops, work.bytes - than.bytes);
        assert_eq!(more(with_deltas, decoded), (3, 3 * 8));
        let [token, token_with_deltas] =
            [0, 3].map(|deltas| linear_packed(Format::Q4_1, [64, 5], deltas));
        assert_eq!(more(token_with_deltas, token), (3 * 2, 3 * 8));
        let [data, indices, values] = [64 / 32 * 20 / 4, 3, 3].map(|words| Words(vec![0; words]));
        let [product, product_with_deltas] = [None, Some((&indices, &values))].map(|deltas| {
            let stored = Stored { data: &data, format: Format::Q4_1, deltas };
            product([7, 2, 32], &Factor::Stored(stored), false)
        });
        assert_eq!(more(product_with_deltas, product), (3, 3 * 8));
        assert_eq!(product.bytes, 4 * 7 * (32 + 2) + 2 * 20);
    }

    #[test]
    fn trained_norms_have_more_to_do() {
        let norm = Norm { epsilon: 1e-5, unit_offset: false };
        let [frozen, trained] =
            [false, true].map(|trains| rms_norm_backward(2, 8, norm, false, trains));
        assert!(trained.flops > frozen.flops);
        assert_eq!(trained.bytes - frozen.bytes, 4 * 2 * 8);
    }
}
