use crate::formats::{Format, decode};
use crate::parallel::{ELEMENTS_PER_TASK, chunks_mut};
use crate::product::Factor;
use half::bf16;

/// Weights among which one task finds its slots: many, because at a low density few of them are touched.
const WEIGHTS_PER_TASK: usize = 4 * ELEMENTS_PER_TASK;

/// Weights that are decoded before they are rounded: whole blocks of any format, and few enough for the L1 cache.
const DECODED_AT_ONCE: usize = 1024;

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

/// Adds deltas to a materialised matrix: `weights[indices] += values`. `indices` are sorted.
pub fn add_deltas(indices: &[u32], values: &[f32], weights: &mut [f32]) {
    change(indices, weights, |slot, weight| *weight += values[slot]);
}

/// Decodes stored weights, adds the deltas, and rounds each sum once. `indices` are sorted.
pub fn materialise_bf16(
    format: Format,
    stored: &[u8],
    (indices, values): (&[u32], &[f32]),
    weights: &mut [bf16],
) {
    chunks_mut(weights, WEIGHTS_PER_TASK, |task, weights| {
        let mut decoded = [0.0; DECODED_AT_ONCE];
        let mut start = task * WEIGHTS_PER_TASK;
        let mut slot = indices.partition_point(|index| (*index as usize) < start);
        for weights in weights.chunks_mut(DECODED_AT_ONCE) {
            let decoded = &mut decoded[..weights.len()];
            decode(format, &stored[format.bytes(start)..], decoded);
            let end = start + weights.len();
            while let Some(index) = indices.get(slot).filter(|index| (**index as usize) < end) {
                decoded[*index as usize - start] += values[slot];
                slot += 1;
            }
            f32::write_rounded(decoded, bytemuck::cast_slice_mut(weights));
            start = end;
        }
    });
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
    fn sums_are_rounded_once() {
        for format in [Format::F32, Format::Bf16, Format::Q4_1, Format::Q6_K, Format::Nf4] {
            let mut weights = uniform(1, 70_144);
            let mut stored = vec![0; format.bytes(weights.len())];
            encode(format, &weights, &mut stored);
            decode_threaded(format, &stored, &mut weights);
            let (indices, values) = (positions(2, 0, 3000, 70_144), uniform(3, 3000));
            let mut rounded = vec![bf16::NAN; weights.len()];
            materialise_bf16(format, &stored, (&indices, &values), &mut rounded);
            add_deltas(&indices, &values, &mut weights);
            assert!(rounded.iter().zip(&weights).all(|(r, w)| *r == bf16::from_f32(*w)));
        }
    }

    #[test]
    fn deltas_are_added_and_taken_away() {
        let base = uniform(1, 400_000);
        let indices = positions(2, 0, 3000, 400_000);
        let values = uniform(3, 3000);
        let mut added = base.clone();
        add_deltas(&indices, &values, &mut added);
        let (mut in_place, mut kept) = (base.clone(), vec![0.0; 3000]);
        gather(&in_place, &indices, &mut kept);
        apply_in_place(&indices, &kept, &values, &mut in_place);
        assert!(added == in_place && added != base);
        restore(&indices, &kept, &mut in_place);
        assert!(in_place == base);
    }
}
