//! Dot products of a block of tokens.

use super::strips::Slots;
use crate::simd::instructions::{Instructions, Kernel, run_best};
use crate::simd::{LANES, aligned};

/// Tokens of a block: with up to 4,096 inputs it stays in an L2 of 2 MiB while slots all over it are sampled.
pub(super) const BLOCK: usize = 128;
/// What the tokens of a block have in one column of x or of an output's gradient.
pub(super) type Row = [[f32; LANES]; BLOCK / LANES];

/// The rows that there is room for, each of whole lines of the cache.
pub(super) fn rows_of(floats: &mut [f32]) -> &mut [Row] {
    aligned(floats).as_chunks_mut().0.as_chunks_mut().0
}

/// Tokens of x and of some rows of an output's gradient, transposed.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// `[in]`.
    pub(super) x_t: &'a [Row],
    /// `[rows]`.
    pub(super) grad_y_t: &'a [Row],
    /// The first of these, in the whole layer.
    pub(super) first_row: usize,
    /// Vectors of tokens that there are; what lies behind them is not read.
    pub(super) vectors: usize,
}

/// Adds what a block of tokens contributes to the gradients at slots in its rows.
pub(super) fn add_samples(block: Block, slots: &mut Slots) {
    run_best(Samples { block, indices: slots.indices, grads: slots.grads });
}

struct Samples<'a> {
    block: Block<'a>,
    indices: &'a [u32],
    grads: &'a mut [f32],
}

impl Kernel for Samples<'_> {
    #[inline(always)]
    fn run(self, instructions: impl Instructions) {
        let Self { block: Block { x_t, grad_y_t, first_row, vectors }, indices, grads } = self;
        let (inputs, mut row) = (x_t.len(), first_row);
        for (indices, grads) in indices.chunks(LANES).zip(grads.chunks_mut(LANES)) {
            let mut lanes = [[0.0; LANES]; LANES];
            for (index, lanes) in indices.iter().zip(&mut lanes) {
                // Slots are sorted, so that a division is seldom needed.
                let mut column = *index as usize - row * inputs;
                if column >= inputs {
                    row += column / inputs;
                    column %= inputs;
                }
                let (x, grad_y) = (&x_t[column], &grad_y_t[row - first_row]);
                *lanes = if vectors == x.len() {
                    // A constant length takes the loop apart.
                    products(instructions, x, grad_y)
                } else {
                    products(instructions, &x[..vectors], &grad_y[..vectors])
                };
            }
            for (grad, sum) in grads.iter_mut().zip(instructions.sums_of(&lanes)) {
                *grad += sum;
            }
        }
    }
}

/// The sums of products in each lane.
#[inline(always)]
fn products(
    instructions: impl Instructions,
    a: &[[f32; LANES]],
    b: &[[f32; LANES]],
) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        lanes = instructions.multiply_add(*a, *b, lanes);
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{positions, uniform};
    use crate::simd::instructions::for_tests::with_each;

    #[test]
    fn all_instructions_sample_the_same_products() {
        let (inputs, rows, first_row) = (70, 9, 20);
        let [mut x, mut grad_y] =
            [(1, inputs), (2, rows)].map(|(stream, rows)| uniform(stream, (rows + 1) * BLOCK));
        let (x_t, grad_y_t) = (&rows_of(&mut x)[..inputs], &rows_of(&mut grad_y)[..rows]);
        for (vectors, count) in [(1, 0), (3, 5), (8, 16), (8, 500)] {
            let block = Block { x_t, grad_y_t, first_row, vectors };
            let before = (first_row * inputs) as u32;
            let indices = positions(3, 0, count, (rows * inputs) as u32);
            let indices: Vec<u32> = indices.into_iter().map(|index| before + index).collect();
            with_each(|widest| {
                let mut grads = vec![1.0; count];
                add_samples(block, &mut Slots { indices: &indices, grads: &mut grads });
                for (grad, index) in grads.iter().zip(&indices) {
                    let (row, column) = (*index as usize / inputs, *index as usize % inputs);
                    let [x, grad_y] = [&x_t[column], &grad_y_t[row - first_row]]
                        .map(|row| row[..vectors].as_flattened().iter().map(|x| f64::from(*x)));
                    let expected = 1.0 + x.zip(grad_y).map(|(x, grad_y)| x * grad_y).sum::<f64>();
                    let off = (f64::from(*grad) - expected).abs();
                    assert!(off < 3e-5, "{vectors}, {widest} bits: {off}");
                }
            });
        }
    }
}
