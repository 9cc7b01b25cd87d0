//! Gradients where deltas are many: entries of dense tiles.

use super::strips::{SampledLayer, Strip};
use crate::parallel::for_each;
use crate::product::{Matrix, Output, product};
use crate::scratch::{Scratch, with_scratch};

/// Elements of a tile: 1 MiB, one at a time for each thread.
const TILE_ELEMENTS: usize = 256 * 1024;
/// Most rows of one: whole strips of a product.
const ROWS_PER_TILE: usize = 70;

/// Words of scratch that a thread needs for a layer's tiles.
pub(super) fn tile_words(inputs: usize, outputs: usize) -> usize {
    rows_per_tile(inputs).min(outputs) * inputs
}

fn rows_per_tile(inputs: usize) -> usize {
    (TILE_ELEMENTS / inputs).clamp(1, ROWS_PER_TILE)
}

/// Computes the dense gradients of layers with the same input, tile by tile, and adds the entries at their slots.
pub(super) fn add_from_tiles(x: &[f32], [tokens, inputs]: [usize; 2], layers: Vec<SampledLayer>) {
    let rows = rows_per_tile(inputs);
    let tiles = layers.into_iter().flat_map(|layer| layer.strips(inputs, rows)).collect();
    for_each(tiles, |tile| {
        let Strip { grad_y, outputs, rows, lists } = tile;
        let grad_y = Matrix::new(&grad_y[rows.start..], tokens, rows.len(), outputs).transposed();
        let x = Matrix::new(x, tokens, inputs, inputs);
        with_scratch(Scratch::Tile, rows.len() * inputs, |dense| {
            let dense: &mut [f32] = bytemuck::cast_slice_mut(dense);
            product(grad_y, x, Output::replace(dense));
            for slots in lists {
                for (grad, index) in slots.grads.iter_mut().zip(slots.indices) {
                    *grad += dense[*index as usize - rows.start * inputs];
                }
            }
        });
    });
}
