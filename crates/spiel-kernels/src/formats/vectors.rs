//! What products of stored rows and a vector share, whatever the format.

use crate::simd::instructions::Instructions;
use crate::simd::{CACHE_LINE, LANES};
use std::array::from_fn;

/// How far ahead a product asks for its rows, which are read once: memory answers in the time that it takes to come there.
const AHEAD: usize = 4096;

/// Asks for what comes after a block of a row.
#[inline(always)]
pub(super) fn prefetch_block(instructions: impl Instructions, block: &[u8]) {
    for line in (0..block.len()).step_by(CACHE_LINE) {
        instructions.prefetch(block, AHEAD + line);
    }
}

/// Adds the lanes in a fixed tree.
///
/// Never inlined: seen together with it, the loop that fills the lanes is vectorised by pairs, as the end of this tree is.
#[inline(never)]
pub(super) fn sum_of(lanes: &[f32; LANES]) -> f32 {
    let halves: [f32; 8] = from_fn(|i| lanes[i] + lanes[i + 8]);
    let quarters: [f32; 4] = from_fn(|i| halves[i] + halves[i + 4]);
    (quarters[0] + quarters[2]) + (quarters[1] + quarters[3])
}
