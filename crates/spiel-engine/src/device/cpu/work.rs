//! What operations have to do that the CPU makes in one call and a GPU in several programs, or by others.

use super::Words;
use crate::device::Factor;
use spiel_kernels::element::Element;
use spiel_kernels::formats::Format;
use spiel_kernels::ops::attention::{
    Heads, Span, attention_backward_kv_work, attention_backward_q_work, attention_stats_work,
    attention_work,
};
use spiel_kernels::ops::delta::{add_deltas_work, materialise_work};
use spiel_kernels::ops::embedding::embedding_program;
use spiel_kernels::ops::linear::{product_work, stored_product_work};
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
    if trains_weight {
        input.and(rms_norm_weight_backward_program(rows, width).work)
    } else {
        input
    }
}

/// One pass makes the scores and their gradients once, where a GPU's two passes make them twice.
pub(super) fn attention_backward(spans: &[Span], heads: Heads) -> Work {
    let again = attention_work(spans, heads).flops;
    let passes = attention_backward_q_work(spans, heads)
        .and(attention_backward_kv_work(spans, heads))
        .and(attention_stats_work(spans, heads));
    Work { flops: passes.flops - again, ..passes }
}

/// C `[m, n]` (+)= A `[m, k]` by weights `[k, n]`.
pub(super) fn product(sizes: [usize; 3], weights: &Factor<Words>, accumulate: bool) -> Work {
    match weights {
        Factor::Dense(dense) => product_work(sizes, dense.element, accumulate),
        Factor::Stored(stored) => {
            let deltas = stored.deltas.map_or(0, |(indices, _)| indices.0.len());
            stored_product_work(sizes, stored.format, deltas, accumulate)
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
    let decoded = materialise_work(format, element, elements);
    match deltas {
        0 => decoded,
        // They are added to what has been decoded, in f32.
        _ => decoded.and(add_deltas_work(Format::F32, element, deltas)),
    }
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

    #[test]
    fn attention_goes_backward_in_five_products() {
        let span = Span { query_start: 0, query_length: 3, key_start: 0, key_length: 3 };
        let heads = Heads::new(4, 2, 8);
        let work = attention_backward(&[span], heads);
        // Six visible pairs, a multiply-add per entry of each head; the statistics are one more row product.
        assert_eq!(work.flops, 5 * 2 * 6 * 4 * 8 + 2 * 3 * 4 * 8);
    }

    #[test]
    fn a_matrix_without_deltas_is_only_decoded() {
        let decoded = materialise(Format::Q4_1, Element::F32, 64, 0);
        assert_eq!((decoded.flops, decoded.bytes), (0, 2 * 20 + 4 * 64));
        let with_deltas = materialise(Format::Q4_1, Element::F32, 64, 3);
        assert_eq!((with_deltas.flops, with_deltas.shape), (3, decoded.shape));
        assert_eq!(with_deltas.format, Some(Format::Q4_1));
    }

    #[test]
    fn trained_norms_have_more_to_do() {
        let norm = Norm { epsilon: 1e-5, unit_offset: false };
        let [frozen, trained] =
            [false, true].map(|trains| rms_norm_backward(2, 8, norm, false, trains));
        assert!(trained.flops > frozen.flops && trained.bytes > frozen.bytes);
    }
}
