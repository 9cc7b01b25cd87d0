use crate::formats::{DECODED_AT_ONCE, Format, decode};
use crate::parallel::{ELEMENTS_PER_TASK, chunks_mut};
use crate::product::Factor;
use half::bf16;
use std::ops::Range;

/// Weights among which one task finds its slots: many, because at a low density few of them are touched.
const WEIGHTS_PER_TASK: usize = 4 * ELEMENTS_PER_TASK;

/// Changes the weight of every slot; `indices` are sorted and unique, so cuts of the weights are cuts of the slots.
fn change(indices: &[u32], weights: &mut [f32], change: impl Fn(usize, &mut f32) + Sync + Send) {
    chunks_mut(weights, WEIGHTS_PER_TASK, |task, weights| {
        let first = task * WEIGHTS_PER_TASK;
        let slot = |position: usize| indices.partition_point(|index| (*index as usize) < position);
        for slot in slot(first)..slot(first + weights.len()) {
            change(slot, &mut weights[indices[slot] as usize - first]);
        }
    });
}

/// Decodes stored weights and adds the deltas, `weights[indices] += values`. `indices` are sorted.
pub fn materialise(
    format: Format,
    stored: &[u8],
    (indices, values): (&[u32], &[f32]),
    weights: &mut [f32],
) {
    in_pieces(indices, weights, |start, slots, weights| {
        decode(format, &stored[format.bytes(start)..], weights);
        add(&indices[slots.clone()], &values[slots], start, weights);
    });
}

/// The same, each sum rounded once.
pub fn materialise_bf16(
    format: Format,
    stored: &[u8],
    (indices, values): (&[u32], &[f32]),
    weights: &mut [bf16],
) {
    in_pieces(indices, weights, |start, slots, weights| {
        let mut decoded = [0.0; DECODED_AT_ONCE];
        let decoded = &mut decoded[..weights.len()];
        decode(format, &stored[format.bytes(start)..], decoded);
        add(&indices[slots.clone()], &values[slots], start, decoded);
        f32::write_rounded(decoded, bytemuck::cast_slice_mut(weights));
    });
}

/// Hands over the weights in pieces, each with its start and the slots in it, so that both are done with while a piece is in
/// the nearest cache.
fn in_pieces<T: Send>(
    indices: &[u32],
    weights: &mut [T],
    work: impl Fn(usize, Range<usize>, &mut [T]) + Sync + Send,
) {
    chunks_mut(weights, ELEMENTS_PER_TASK, |task, weights| {
        let mut start = task * ELEMENTS_PER_TASK;
        let mut slot = indices.partition_point(|index| (*index as usize) < start);
        for weights in weights.chunks_mut(DECODED_AT_ONCE) {
            let end = start + weights.len();
            let inside = indices[slot..].iter().take_while(|index| (**index as usize) < end);
            let slots = slot..slot + inside.count();
            work(start, slots.clone(), weights);
            (start, slot) = (end, slots.end);
        }
    });
}

/// Adds deltas to the weights from `start` on.
fn add(indices: &[u32], values: &[f32], start: usize, weights: &mut [f32]) {
    for (index, value) in indices.iter().zip(values) {
        weights[*index as usize - start] += value;
    }
}

/// Sets `weights[indices] = base + values`: the deltas of a matrix that is kept in f32. `indices` are sorted.
pub fn apply_in_place(indices: &[u32], base: &[f32], values: &[f32], weights: &mut [f32]) {
    change(indices, weights, |slot, weight| *weight = base[slot] + values[slot]);
}

/// Sets `weights[indices] = base`: takes the deltas away again. `indices` are sorted.
pub fn restore(indices: &[u32], base: &[f32], weights: &mut [f32]) {
    change(indices, weights, |slot, weight| *weight = base[slot]);
}

/// out[i] = x[indices[i]].
pub fn gather(x: &[f32], indices: &[u32], out: &mut [f32]) {
    chunks_mut(&mut out[..indices.len()], ELEMENTS_PER_TASK, |task, out| {
        for (out, index) in out.iter_mut().zip(&indices[task * ELEMENTS_PER_TASK..]) {
            *out = x[*index as usize];
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{decode_threaded, encode};
    use crate::random::{positions, uniform};

    #[test]
    fn every_delta_is_added_to_its_weight() {
        for format in [Format::F32, Format::Bf16, Format::Q4_1, Format::Q6_K, Format::Nf4] {
            let mut expected = uniform(1, 70_144);
            let mut stored = vec![0; format.bytes(expected.len())];
            encode(format, &expected, &mut stored);
            decode_threaded(format, &stored, &mut expected);
            let (indices, values) = (positions(2, 0, 3000, 70_144), uniform(3, 3000));
            for (index, value) in indices.iter().zip(&values) {
                expected[*index as usize] += value;
            }
            let mut weights = vec![f32::NAN; expected.len()];
            materialise(format, &stored, (&indices, &values), &mut weights);
            assert!(weights == expected, "{format:?}");
            let mut rounded = vec![bf16::NAN; expected.len()];
            materialise_bf16(format, &stored, (&indices, &values), &mut rounded);
            assert!(rounded.iter().zip(&expected).all(|(r, w)| *r == bf16::from_f32(*w)));
        }
    }

    #[test]
    fn deltas_are_added_in_place_and_taken_away() {
        let base = uniform(1, 400_000);
        let indices = positions(2, 0, 3000, 400_000);
        let values = uniform(3, 3000);
        let mut added = base.clone();
        materialise(Format::F32, bytemuck::cast_slice(&base), (&indices, &values), &mut added);
        let (mut in_place, mut kept) = (base.clone(), vec![0.0; 3000]);
        gather(&in_place, &indices, &mut kept);
        apply_in_place(&indices, &kept, &values, &mut in_place);
        assert!(added == in_place && added != base);
        restore(&indices, &kept, &mut in_place);
        assert!(in_place == base);
    }
}
