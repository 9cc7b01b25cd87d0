//! What operations hold beside their operands: the most that the pool, the recorder and read-backs come to.

use super::GpuDevice;
use super::delta_gradients::NUMBERS;
use super::pool::pooled_bytes;
use super::readback::most_staging_bytes;
use super::recorder::UNIFORM_BYTES;
use crate::device::{ModuleSize, OperationSizes};
use spiel_kernels::ops::{clip, positions, top_k};
use std::collections::BTreeSet;

/// Arrays of one word per delta that a reselection holds at once.
const SLOT_ARRAYS: u64 = 10;
/// Small arrays, of selections and counts, that a reselection holds at once.
const SMALL_ARRAYS: u64 = 8;

impl GpuDevice {
    /// Bytes that operations of these sizes hold at most.
    pub(super) fn bytes_of_operations(&self, sizes: &OperationSizes) -> u64 {
        let OperationSizes { tokens, heads, largest_array, trained, modules, replaces, .. } = sizes;
        let runs = |elements: &usize| -> usize {
            let cuts = self.cuts(*elements, &[4]);
            cuts.iter().map(|part| part.len().div_ceil(clip::RUN)).sum()
        };
        let norm_parts: usize = trained.iter().map(runs).sum();
        // What a trial of gradients computes with.
        let numbers = modules.iter().flat_map(|module| {
            [module.inputs, module.outputs].map(|width| NUMBERS.min(width * tokens))
        });

        // What queries see and what sees keys; a backward pass's statistics; inverse norms. Smaller micro-batches may
        // take smaller buffers, which all together are at most as large again.
        let rows = [2 * tokens, 2 * tokens, 2 * tokens * heads, tokens * heads];
        let of_tokens: u64 = 2 * rows.map(pooled_bytes).iter().sum::<u64>();
        UNIFORM_BYTES as u64
            + most_staging_bytes(*largest_array)
            + distinct(numbers)
            + of_tokens
            + pooled_bytes(2 * norm_parts)
            + distinct(
                modules.iter().map(|module| self.tile_elements(module.inputs, module.outputs)),
            )
            + bytes_of_draws(modules)
            + if *replaces { bytes_of_selections(modules) } else { 0 }
    }
}

/// Bytes of one buffer of each size that these elements take.
fn distinct(elements: impl Iterator<Item = usize>) -> u64 {
    let sizes: BTreeSet<u64> = elements.map(pooled_bytes).collect();
    sizes.into_iter().sum()
}

/// Bytes that drawing the first positions holds: a bit per weight, and where each run of its words begins.
fn bytes_of_draws(modules: &[ModuleSize]) -> u64 {
    let words = |module: &ModuleSize| (module.inputs * module.outputs).div_ceil(32);
    let runs = |module: &ModuleSize| 2 * words(module).div_ceil(positions::RUN);
    distinct(modules.iter().map(words)) + distinct(modules.iter().map(runs))
}

/// Bytes that choosing and replacing deltas hold.
fn bytes_of_selections(modules: &[ModuleSize]) -> u64 {
    if modules.is_empty() {
        return 0;
    }
    let slots = distinct(modules.iter().map(|module| module.deltas));
    let ranked = modules.iter().flat_map(|module| [module.deltas, module.inputs * module.outputs]);
    let runs = distinct(ranked.map(|keys| 2 * keys.div_ceil(top_k::RUN)));
    let small = pooled_bytes(top_k::SELECTION);
    SLOT_ARRAYS * slots + runs + pooled_bytes(top_k::DIGITS) + SMALL_ARRAYS * small
}
