//! Gradients at the deltas: dot products over the tokens, or entries of dense tiles where deltas are many.

use crate::ops::transpose::transpose_blocks;
use crate::parallel::{chunks_mut, for_each};
use crate::product::{Matrix, Output, product};
use multiversion::multiversion;
use std::array::from_fn;

/// Tokens of a block: that of up to 4,096 inputs stays in an L2 of 2 MiB while the slots of a task pass over it.
const BLOCK: usize = 128;
/// Slots that one task computes one by one.
const SLOTS_PER_TASK: usize = 1024;
/// Partial sums of a slot, of every so-manieth token each, so that they are added once per gradient.
const LANES: usize = 16;
/// Elements of a dense tile: 1 MiB, one at a time for each thread.
const TILE_ELEMENTS: usize = 256 * 1024;
/// Most rows of one.
const ROWS_PER_TILE: usize = 64;
/// Where one weight in so many has a delta, or more, dense tiles are cheaper.
const SPARSEST_TILE: usize = 7;

/// Writes `x [T, width]` as [`sampled_gradient`] reads it: in blocks of tokens, each transposed.
pub fn sampled_layout(x: &[f32], tokens: usize, width: usize, out: &mut [f32]) {
    transpose_blocks(x, tokens, width, BLOCK, out);
}

/// Operands in the layout of [`sampled_layout`], and their shape.
#[derive(Clone, Copy)]
struct Operands<'a> {
    /// Of `x [T, in]`.
    x: &'a [f32],
    /// Of `grad_y [T, out]`.
    grad_y: &'a [f32],
    tokens: usize,
    inputs: usize,
    outputs: usize,
}

/// One block of tokens: `x [in, width]` and `grad_y [out, width]`.
#[derive(Clone, Copy)]
struct Block<'a> {
    x: &'a [f32],
    grad_y: &'a [f32],
    width: usize,
}

/// Adds to every delta's gradient its entry of `grad_yᵀ·x`, a dot product over the tokens: those at `indices` (sorted,
/// flat over `[out, in]`), and no others.
///
/// `x [T, in]` and `grad_y [T, out]` are in the layout of [`sampled_layout`].
pub fn sampled_gradient(
    indices: &[u32],
    x: &[f32],
    grad_y: &[f32],
    [tokens, inputs, outputs]: [usize; 3],
    grads: &mut [f32],
) {
    let operands = Operands { x, grad_y, tokens, inputs, outputs };
    if indices.len() * SPARSEST_TILE < inputs * outputs {
        chunks_mut(grads, SLOTS_PER_TASK, |task, grads| {
            let indices = &indices[task * SLOTS_PER_TASK..][..grads.len()];
            let mut sums = vec![[0.0; LANES]; grads.len()];
            for block in operands.blocks() {
                add_samples(indices, inputs, block, &mut sums);
            }
            for (grad, sum) in grads.iter_mut().zip(&sums) {
                *grad += folded(sum);
            }
        });
    } else {
        for_each(tiles(indices, inputs, outputs, grads), |tile| add_from_tile(operands, tile));
    }
}

impl<'a> Operands<'a> {
    fn blocks(self) -> impl Iterator<Item = Block<'a>> {
        let Self { x, grad_y, tokens, inputs, outputs } = self;
        (0..tokens).step_by(BLOCK).map(move |first| {
            let width = BLOCK.min(tokens - first);
            let x = &x[first * inputs..][..width * inputs];
            Block { x, grad_y: &grad_y[first * outputs..][..width * outputs], width }
        })
    }
}

/// Adds what one block of tokens contributes to each of the slots' sums.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn add_samples(indices: &[u32], inputs: usize, block: Block, sums: &mut [[f32; LANES]]) {
    let Block { x, grad_y, width } = block;
    let Some(first) = indices.first() else { return };
    let mut row = *first as usize / inputs;
    for (sum, index) in sums.iter_mut().zip(indices) {
        // Slots are sorted, so that a division is seldom needed.
        let mut column = *index as usize - row * inputs;
        if column >= inputs {
            row += column / inputs;
            column %= inputs;
        }
        let (x, grad_y) = (&x[column * width..][..width], &grad_y[row * width..][..width]);
        *sum = if width == BLOCK {
            // A constant length takes the bounds and the rest out of the loop.
            with_products(*sum, &x[..BLOCK], &grad_y[..BLOCK])
        } else {
            with_products(*sum, x, grad_y)
        };
    }
}

/// Lanes to which the products of two rows are added in turn.
#[inline(always)]
fn with_products(mut lanes: [f32; LANES], a: &[f32], b: &[f32]) -> [f32; LANES] {
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    for (lane, (a, b)) in lanes.iter_mut().zip(rest) {
        *lane += a * b;
    }
    for (a, b) in a_chunks.zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    lanes
}

/// Adds the lanes in a fixed tree.
fn folded(lanes: &[f32; LANES]) -> f32 {
    let halves: [f32; 8] = from_fn(|i| lanes[i] + lanes[i + 8]);
    let quarters: [f32; 4] = from_fn(|i| halves[i] + halves[i + 4]);
    (quarters[0] + quarters[2]) + (quarters[1] + quarters[3])
}

/// Rows of a matrix, and the slots in them.
struct Tile<'a> {
    first_row: usize,
    rows: usize,
    indices: &'a [u32],
    grads: &'a mut [f32],
}

fn tiles<'a>(
    mut indices: &'a [u32],
    inputs: usize,
    outputs: usize,
    mut grads: &'a mut [f32],
) -> Vec<Tile<'a>> {
    let rows_per_tile = (TILE_ELEMENTS / inputs).clamp(1, ROWS_PER_TILE);
    let mut tiles = Vec::new();
    for first_row in (0..outputs).step_by(rows_per_tile) {
        let rows = rows_per_tile.min(outputs - first_row);
        let end = (first_row + rows) * inputs;
        let inside = indices.partition_point(|index| (*index as usize) < end);
        let (mine, others) = indices.split_at(inside);
        let (my_grads, other_grads) = grads.split_at_mut(inside);
        tiles.push(Tile { first_row, rows, indices: mine, grads: my_grads });
        (indices, grads) = (others, other_grads);
    }
    tiles
}

/// Computes the dense gradient of a tile's rows and adds the entries at its slots.
fn add_from_tile(operands: Operands, tile: Tile) {
    let Tile { first_row, rows, indices, grads } = tile;
    let inputs = operands.inputs;
    let mut dense = vec![0.0; rows * inputs];
    for Block { x, grad_y, width } in operands.blocks() {
        let grad_y = Matrix::new(&grad_y[first_row * width..], rows, width, width);
        let x = Matrix::new(x, inputs, width, width).transposed();
        product(grad_y, x, 1.0, Output::add(&mut dense));
    }
    for (grad, index) in grads.iter_mut().zip(indices) {
        *grad += dense[*index as usize - first_row * inputs];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::linear::linear_backward_weight;
    use crate::random::{positions, uniform};

    #[test]
    fn sampled_gradient_is_the_dense_one_at_the_indices() {
        for (tokens, inputs, outputs, k) in [
            (1, 3, 2, 4),
            (1, 300, 20, 4),
            (130, 70, 90, 500),
            (130, 70, 90, 5000),
            (300, 70, 90, 6300),
            (200, 3000, 5, 999),
            (256, 40, 500, 3),
            (256, 40, 500, 0),
        ] {
            let (x, grad_y) = (uniform(1, tokens * inputs), uniform(2, tokens * outputs));
            let mut dense = vec![0.0; inputs * outputs];
            linear_backward_weight(&grad_y, &x, tokens, inputs, outputs, false, &mut dense);
            let (mut x_t, mut grad_y_t) = (vec![0.0; x.len()], vec![0.0; grad_y.len()]);
            sampled_layout(&x, tokens, inputs, &mut x_t);
            sampled_layout(&grad_y, tokens, outputs, &mut grad_y_t);
            let indices = positions(5, 0, k, (inputs * outputs) as u32);
            let mut grads = vec![1.0; k];
            sampled_gradient(&indices, &x_t, &grad_y_t, [tokens, inputs, outputs], &mut grads);
            for (grad, index) in grads.iter().zip(&indices) {
                let expected = dense[*index as usize];
                assert!((grad - 1.0 - expected).abs() < 3e-5, "{tokens} {inputs} {outputs} {k}");
            }
        }
    }
}
