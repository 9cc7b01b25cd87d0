use crate::assemble::Constant;
use crate::element::Element;
use crate::formats::Format;
use crate::ops::linear::Tiling;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Access, Program, Work};
use std::ops::Range;

/// Decodes `count` weights to elements of this type. Buffers: stored, weights.
#[must_use]
pub fn materialise_program(format: Format, element: Element, count: usize) -> Program {
    let [weight, element_part] = decoding(format, element);
    let store = match count % 8 {
        0 => include_str!("store_vectors.wgsl"),
        _ => include_str!("store_scalars.wgsl"),
    };
    let constants = [weight, element_part, Constant::Part("store", store)];
    let text = include_str!("materialise.wgsl");
    let groups = count.div_ceil(8).div_ceil(256);
    let work = materialise_work(format, element, count);
    Program::new("materialise", text, &constants, &[Read, ReadWrite], vec![count as u32], groups)
        .doing(work)
}

/// What decoding `count` weights to elements of this type has to do, on any device.
#[must_use]
pub fn materialise_work(format: Format, element: Element, count: usize) -> Work {
    Work::new([count], 0, 0).decoding(format, count).moving(element, count)
}

fn decoding(format: Format, element: Element) -> [Constant; 2] {
    [Constant::Part("weight", format.wgsl()), Constant::Part("element", element.wgsl())]
}

/// Adds `count` deltas to the weights `window`, of which alone it is given, whole blocks of the format. Buffers: stored,
/// indices, values, weights.
#[must_use]
pub fn add_deltas_program(
    format: Format,
    element: Element,
    count: usize,
    window: &Range<usize>,
) -> Program {
    let text = include_str!("add_deltas.wgsl");
    let (constants, buffers) = (decoding(format, element), &[Read, Read, Read, ReadWrite]);
    let work = add_deltas_work(format, element, count);
    scattered("add_deltas", text, &constants, buffers, count, window).doing(work)
}

/// What adding `count` deltas has to do, on any device: of every block that holds one, it decodes what holds that weight.
#[must_use]
pub fn add_deltas_work(format: Format, element: Element, count: usize) -> Work {
    Work::new([count], 1, 2 * count).decoding(format, count).moving(element, count)
}

/// Changes the weights `window`, of which alone it is given. Buffers: indices, base, values, weights.
#[must_use]
pub fn apply_in_place_program(count: usize, window: &Range<usize>) -> Program {
    let text = include_str!("apply_in_place.wgsl");
    scattered("apply_in_place", text, &[], &[Read, Read, Read, ReadWrite], count, window)
        .doing(Work::new([count], 1, 4 * count))
}

/// Changes the weights `window`, of which alone it is given. Buffers: indices, base, weights.
#[must_use]
pub fn restore_program(count: usize, window: &Range<usize>) -> Program {
    let text = include_str!("restore.wgsl");
    scattered("restore", text, &[], &[Read, Read, ReadWrite], count, window).doing(Work::new(
        [count],
        0,
        3 * count,
    ))
}

/// Reads the entries `window` of x, of which alone it is given, in place of `out` or added to it. Buffers: x, indices,
/// out.
#[must_use]
pub fn gather_program(count: usize, window: &Range<usize>, accumulate: bool) -> Program {
    let text = include_str!("gather.wgsl");
    let constants = [Constant::Bool("ACCUMULATE", accumulate)];
    let params = vec![count as u32, window.start as u32, window.len() as u32];
    let (buffers, groups) = (&[Read, Read, ReadWrite], count.div_ceil(256));
    Program::new("gather", text, &constants, buffers, params, groups).doing(Work::new(
        [count],
        u64::from(accumulate),
        (3 + usize::from(accumulate)) * count,
    ))
}

fn scattered(
    label: &'static str,
    text: &'static str,
    constants: &[Constant],
    buffers: &'static [Access],
    count: usize,
    window: &Range<usize>,
) -> Program {
    let params = vec![count as u32, window.start as u32, window.len() as u32];
    Program::new(label, text, constants, buffers, params, count.div_ceil(256))
}

/// Slots of a workgroup that samples gradients.
pub const SAMPLED_SLOTS: usize = 128;

/// What sampling the gradients of `count` slots in a matrix of so many rows has to do.
#[must_use]
pub fn sampled_gradient_work(count: usize, tokens: usize, rows: usize, accumulate: bool) -> Work {
    // Slots are in the order of their rows, so neighbours read a row of the one transpose together; each has a column
    // of its own of the other.
    let words = count
        .saturating_mul(tokens + 2 + usize::from(accumulate))
        .saturating_add(count.min(rows).saturating_mul(tokens));
    Work::new([count, tokens], 2, words)
}

/// The slots `slots`, whose positions are in the given rows and columns of a matrix `inputs` wide; it is given those rows
/// of the transposes alone. Buffers: indices, `x_t`, `grad_y_t`, grads.
#[must_use]
pub fn sampled_gradient_program(
    tiling: Tiling,
    slots: &Range<usize>,
    tokens: usize,
    inputs: usize,
    rows: &Range<usize>,
    columns: &Range<usize>,
    accumulate: bool,
) -> Program {
    let constants = [
        Constant::Bool("ACCUMULATE", accumulate),
        Constant::Bool("STAGED", tiling == Tiling::Shared),
    ];
    let text = include_str!("sampled_gradient.wgsl");
    let buffers = &[Read, Read, Read, ReadWrite];
    let params = [slots.start, slots.end, tokens, inputs].into_iter();
    let bound = [rows.start, rows.len(), columns.start, columns.len()];
    let params = params.chain(bound).map(|param| param as u32).collect();
    let groups = slots.len().div_ceil(SAMPLED_SLOTS);
    Program::new("sampled_gradient", text, &constants, buffers, params, groups)
        .doing(sampled_gradient_work(slots.len(), tokens, rows.len(), accumulate))
}

/// Buffers: sample, grads, squared grads.
#[must_use]
pub fn accumulate_candidates_program(count: usize) -> Program {
    let text = include_str!("accumulate_candidates.wgsl");
    let buffers = &[Read, ReadWrite, ReadWrite];
    let params = vec![count as u32];
    Program::new("accumulate_candidates", text, &[], buffers, params, count.div_ceil(256))
        .doing(Work::new([count], 3, 5 * count))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    let window = &(0..9);
    let decoders = Format::ALL.iter().flat_map(|&format| {
        Element::OF_GPUS.into_iter().flat_map(move |element| {
            let [whole, ragged] = [64, 63].map(|count| materialise_program(format, element, count));
            [whole, ragged, add_deltas_program(format, element, 9, &(0..9))]
        })
    });
    let others = [
        apply_in_place_program(9, window),
        restore_program(9, window),
        gather_program(9, window, false),
        gather_program(9, window, true),
        sampled_gradient_program(Tiling::Shared, window, 3, 64, window, window, true),
        sampled_gradient_program(Tiling::Registers, window, 3, 64, window, window, false),
        accumulate_candidates_program(9),
    ];
    decoders.chain(others).collect()
}
