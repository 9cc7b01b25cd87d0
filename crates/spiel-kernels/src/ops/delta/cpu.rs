use crate::math::dot;
use crate::parallel::{ELEMENTS_PER_TASK, chunks_mut};

/// Slots that one task of the sampled gradient computes.
const SLOTS_PER_TASK: usize = 4096;
/// Weights among which one task finds its slots: many, because at a low density few of them are touched.
const WEIGHTS_PER_TASK: usize = 4 * ELEMENTS_PER_TASK;
/// Floats of the transposed input that a task keeps in its L2 cache while its slots pass over them.
const CACHED_FLOATS: usize = 128 * 1024;

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

/// Adds to every delta's gradient the dot product of its row of `grad_y_t [out, T]` and its column's row of
/// `x_t [in, T]`: the entries `indices` (sorted, flat over `[out, in]`) of `grad_yᵀ·x`, and no others.
pub fn sampled_gradient(
    indices: &[u32],
    x_t: &[f32],
    grad_y_t: &[f32],
    tokens: usize,
    inputs: usize,
    grads: &mut [f32],
) {
    // Tokens are cut so that one cut of `x_t` stays in cache; the cut depends on the shape alone.
    let cut = (CACHED_FLOATS / inputs / 64 * 64).clamp(64, 4096);
    chunks_mut(grads, SLOTS_PER_TASK, |task, grads| {
        let indices = &indices[task * SLOTS_PER_TASK..];
        for first in (0..tokens).step_by(cut) {
            let count = cut.min(tokens - first);
            for (grad, index) in grads.iter_mut().zip(indices) {
                let (row, column) = (*index as usize / inputs, *index as usize % inputs);
                let x = &x_t[column * tokens + first..][..count];
                *grad += dot(&grad_y_t[row * tokens + first..][..count], x);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::linear::linear_backward_weight;
    use crate::ops::transpose::transpose;
    use crate::random::{positions, uniform};

    #[test]
    fn sampled_gradient_is_the_dense_one_at_the_indices() {
        for (tokens, inputs, outputs, k) in [(1, 3, 2, 4), (130, 70, 90, 5000), (200, 3000, 5, 999)]
        {
            let (x, grad_y) = (uniform(1, tokens * inputs), uniform(2, tokens * outputs));
            let mut dense = vec![0.0; inputs * outputs];
            linear_backward_weight(&grad_y, &x, tokens, inputs, outputs, false, &mut dense);
            let (mut x_t, mut grad_y_t) = (vec![0.0; x.len()], vec![0.0; grad_y.len()]);
            transpose(&x, tokens, inputs, &mut x_t);
            transpose(&grad_y, tokens, outputs, &mut grad_y_t);
            let indices = positions(5, 0, k, (inputs * outputs) as u32);
            let mut grads = vec![1.0; k];
            sampled_gradient(&indices, &x_t, &grad_y_t, tokens, inputs, &mut grads);
            for (grad, index) in grads.iter().zip(&indices) {
                assert!((grad - 1.0 - dense[*index as usize]).abs() < 2e-5);
            }
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
