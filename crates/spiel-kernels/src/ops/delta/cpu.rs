use crate::parallel::{ELEMENTS_PER_TASK, chunks_mut};

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

/// Adds deltas to a materialised matrix: `weights[indices] += values`. `indices` are sorted.
pub fn add_deltas(indices: &[u32], values: &[f32], weights: &mut [f32]) {
    change(indices, weights, |slot, weight| *weight += values[slot]);
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
    use crate::random::{positions, uniform};

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
