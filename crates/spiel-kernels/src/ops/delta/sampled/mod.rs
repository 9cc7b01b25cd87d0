//! Gradients at the deltas: dot products over the tokens, or entries of dense tiles where deltas are many.

mod samples;
mod strips;
#[cfg(test)]
mod tests;
mod tiles;

use crate::columns::write_columns;
use crate::parallel::{ELEMENTS_PER_TASK, chunks_mut, for_each_with, threads};
use crate::simd::LANES;
use samples::{BLOCK, Block, Row, add_samples, rows_of};
use std::ops::Range;
pub use strips::{SampledLayer, Slots};
use strips::{Strip, summed_in};

/// Rows of W whose slots are sampled from one block of the output's gradient.
const ROWS: usize = 256;
/// Parts of the tokens that tasks share, at most: every slot has a sum for each.
const PARTS: usize = 4;
/// Tasks that a thread should have, so that none waits long for the last.
const TASKS_PER_THREAD: usize = 2;
/// Where one weight in so many has a slot, or more, dense tiles are cheaper.
const SPARSEST_TILE: usize = 7;

/// Memory for [`sampled_gradients`], in sizes that [`sampling_words`] tells.
pub struct SamplingScratch<'a> {
    /// Blocks of x, one for each thread.
    pub x_t: &'a mut [f32],
    /// Blocks of the outputs' gradients, one for each thread.
    pub grad_y_t: &'a mut [f32],
    /// For each part of the tokens a sum for each slot.
    pub sums: &'a mut [f32],
}

/// Floats of the three memories of [`SamplingScratch`] for up to so many tokens, and layers with the same input, of so many
/// outputs and slots.
#[must_use]
pub fn sampling_words(
    threads: usize,
    [tokens, inputs]: [usize; 2],
    layers: impl Iterator<Item = (usize, usize)>,
) -> [usize; 3] {
    let sampled = layers.filter(|(outputs, slots)| !takes_tiles(inputs, *outputs, *slots));
    let slots: usize = sampled.map(|(_, slots)| slots).sum();
    let blocks = |rows: usize| threads * rows * BLOCK + LANES - 1;
    // Fewer tokens may have more parts than all of them, if parts of fewer blocks.
    [blocks(inputs), blocks(ROWS), tokens.div_ceil(BLOCK).min(PARTS) * slots]
}

/// Words of scratch that each thread keeps for the tiles of a layer of so many slots.
#[must_use]
pub fn tile_words([inputs, outputs]: [usize; 2], slots: usize) -> usize {
    if takes_tiles(inputs, outputs, slots) { tiles::tile_words(inputs, outputs) } else { 0 }
}

/// Adds to every slot of layers with the same input `x [T, in]` its entry of `grad_yᵀ·x`, a dot product over the tokens.
///
/// # Panics
/// When the scratch is too short.
pub fn sampled_gradients(
    x: &[f32],
    [tokens, inputs]: [usize; 2],
    layers: Vec<SampledLayer>,
    scratch: SamplingScratch,
) {
    let (dense, mut sampled): (Vec<_>, Vec<_>) =
        (layers.into_iter()).partition(|layer| takes_tiles(inputs, layer.outputs, layer.slots()));
    tiles::add_from_tiles(x, [tokens, inputs], dense);
    let slots: usize = sampled.iter().map(SampledLayer::slots).sum();
    if slots == 0 {
        return;
    }
    let SamplingScratch { x_t, grad_y_t, sums } = scratch;
    let sums = &mut sums[..parts(tokens).count() * slots];
    sums.fill(0.0);
    let x_blocks = rows_of(x_t).chunks_exact_mut(inputs);
    let blocks = x_blocks.zip(rows_of(grad_y_t).chunks_exact_mut(ROWS));
    let mut blocks: Vec<_> = blocks.take(threads()).collect();
    assert!(!blocks.is_empty(), "no room for a block of {inputs} inputs");
    let tasks = tasks(x, [tokens, inputs], &sampled, sums);
    for_each_with(tasks, &mut blocks, |task, (x_t, grad_y_t)| task.run(x_t, grad_y_t));
    add_parts(sums, slots, sampled.iter_mut().flat_map(|layer| &mut layer.lists));
}

/// Samples over each part of the tokens, to be added to its part of the sums, in as many tasks as keep the threads busy.
fn tasks<'a>(
    x: &'a [f32],
    [tokens, inputs]: [usize; 2],
    layers: &[SampledLayer<'a>],
    sums: &'a mut [f32],
) -> Vec<Task<'a>> {
    let count = parts(tokens).count().max(1);
    let slots = (sums.len() / count).max(1);
    let tasks_per_part = (TASKS_PER_THREAD * threads()).div_ceil(count);
    let mut tasks = Vec::new();
    for (tokens, sums) in parts(tokens).zip(sums.chunks_exact_mut(slots)) {
        let layers = summed_in(layers, sums).into_iter();
        let strips: Vec<_> = layers.flat_map(|layer| layer.strips(inputs, ROWS)).collect();
        let strips_per_task = strips.len().div_ceil(tasks_per_part);
        let mut strips = strips.into_iter().peekable();
        while strips.peek().is_some() {
            let strips = strips.by_ref().take(strips_per_task).collect();
            tasks.push(Task { x, inputs, tokens: tokens.clone(), strips });
        }
    }
    tasks
}

/// The parts of so many tokens, of whole blocks but for the last.
fn parts(tokens: usize) -> impl Iterator<Item = Range<usize>> {
    let part = tokens.div_ceil(PARTS).next_multiple_of(BLOCK).max(BLOCK);
    (0..tokens).step_by(part).map(move |first| first..tokens.min(first + part))
}

fn takes_tiles(inputs: usize, outputs: usize, slots: usize) -> bool {
    slots * SPARSEST_TILE >= inputs * outputs
}

/// Adds to the lists of slots what each part of the tokens gave them, in order.
fn add_parts<'a, 'b: 'a>(
    sums: &[f32],
    slots: usize,
    lists: impl Iterator<Item = &'a mut Slots<'b>>,
) {
    let mut before = 0;
    for list in lists {
        chunks_mut(list.grads, ELEMENTS_PER_TASK, |task, grads| {
            for sums in sums.chunks_exact(slots) {
                let sums = &sums[before + task * ELEMENTS_PER_TASK..];
                for (grad, sum) in grads.iter_mut().zip(sums) {
                    *grad += sum;
                }
            }
        });
        before += list.indices.len();
    }
}

/// Samples at rows of layers, over a part of the tokens.
struct Task<'a> {
    x: &'a [f32],
    inputs: usize,
    tokens: Range<usize>,
    strips: Vec<Strip<'a>>,
}

impl Task<'_> {
    fn run(self, x_t: &mut [Row], grad_y_t: &mut [Row]) {
        let Self { x, inputs, tokens, mut strips } = self;
        for first in tokens.clone().step_by(BLOCK) {
            let width = BLOCK.min(tokens.end - first);
            lay_out(&x[first * inputs..], inputs, width, x_t);
            for Strip { grad_y, outputs, rows, lists } in &mut strips {
                let grad_y_t = &mut grad_y_t[..rows.len()];
                lay_out(&grad_y[first * *outputs + rows.start..], *outputs, width, grad_y_t);
                let block =
                    Block { x_t, grad_y_t, first_row: rows.start, vectors: width.div_ceil(LANES) };
                for slots in lists {
                    add_samples(block, slots);
                }
            }
        }
    }
}

/// Writes the first columns of `width` tokens as rows, with zeros up to whole vectors.
fn lay_out(x: &[f32], stride: usize, width: usize, rows: &mut [Row]) {
    let (columns, whole) = (rows.len(), width.next_multiple_of(LANES));
    let out = rows.as_flattened_mut().as_flattened_mut();
    write_columns(x, stride, (width, columns), out, BLOCK);
    if width < whole {
        for row in out.chunks_exact_mut(BLOCK) {
            row[width..whole].fill(0.0);
        }
    }
}
