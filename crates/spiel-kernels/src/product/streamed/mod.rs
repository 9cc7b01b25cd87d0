//! Dense products in f32: strips of A, a few rows each, stream past packed columns of B.
//!
//! A task's columns of B stay in the second cache of its core, and a strip near it, while the strip after it is on its way.
//! Every element of C is summed along k in the same order, however C is cut and whatever tile it falls into.

mod pack;
mod stored;
mod tile;

use super::parts::{Part, blocks, cut, each_part};
use super::{Matrix, Output};
use crate::parallel;
use crate::scratch::{Scratch, with_scratch};
use crate::simd::instructions::{Instructions, Kernel, run_best};
use crate::simd::{LANES, aligned};
pub(super) use pack::Columns;
use std::ops::Range;
pub use stored::StoredMatrix;
use tile::{Ahead, COLUMNS, Pass, Step, Strip, TALLEST};

/// Steps of k in a block at most: as many as let C be read and written seldom.
const DEPTH: usize = 1536;

/// What steps of k in a block are a multiple of: the longest blocks of stored weights.
const WHOLE: usize = 256;

/// Numbers of B that a task packs at a time: 1 MiB, half of the second cache of a core of a server.
const PACKED: usize = 256 * 1024;

/// What packing a panel costs, in strips that are multiplied by it.
const PACKING: usize = 2;

/// Words of scratch that a thread keeps at most: a strip, panels of which one alone may be more than are packed at a time,
/// and rows that become columns.
pub(super) const fn scratch_words() -> usize {
    let strip = size_of::<Strip>() / size_of::<f32>();
    strip + WHOLE * DEPTH + stored::ROWS * DEPTH + 3 * LANES
}

/// C (+)= A·B for shapes that agree and have no zero.
pub(super) fn product<B: Columns>(a: Matrix, b: B, c: Output, threaded: bool) {
    let threads = if threaded { parallel::threads() } else { 1 };
    let (depth, columns) = b.shape();
    // Panels that are packed together, so that what they are packed from is whole.
    let unit = b.unit().next_multiple_of(COLUMNS);
    let (down, across) = grid(a.rows.div_ceil(TALLEST), columns.div_ceil(unit), threads);
    let height = a.rows.div_ceil(TALLEST).div_ceil(down) * TALLEST;
    let width = columns.div_ceil(unit).div_ceil(across) * unit;
    let accumulate = c.accumulate;
    let parts = cut(&mut c.data[..a.rows * columns], columns, 0..columns, height, width);
    let work = |part: Part| {
        let depth = block_depth(depth);
        let width = block_width(part.columns.len(), depth, unit);
        with_floats(Scratch::Between, B::scratch(width, depth), |scratch| {
            with_floats(Scratch::Right, width * depth, |panels| {
                with_floats(Scratch::Left, size_of::<Strip>() / size_of::<f32>(), |strip| {
                    let Some(strip) = strip.as_chunks_mut().0.first_chunk_mut() else {
                        unreachable!("the scratch is as long as a strip");
                    };
                    let room = Room { strip, panels, scratch, width };
                    run_best(Multiply { a, b, accumulate, part, room });
                });
            });
        });
    };
    each_part(parts, threaded, work);
}

/// Steps of a block of a sum of so many: about as many in every block.
fn block_depth(steps: usize) -> usize {
    steps.div_ceil(steps.div_ceil(DEPTH)).next_multiple_of(WHOLE).min(steps)
}

/// Columns of a block, a multiple of `unit`, of a part that has so many: as many as fit, and about as many in every block.
fn block_width(columns: usize, depth: usize, unit: usize) -> usize {
    let units = columns.div_ceil(unit);
    let most = (PACKED / depth / unit).max(1);
    units.div_ceil(units.div_ceil(most)) * unit
}

/// Into how many parts C is cut, down and across, no more of them than threads, which are taken to be equally fast, so that
/// the largest is soonest done.
fn grid(strips: usize, units: usize, threads: usize) -> (usize, usize) {
    let grids = (1..=threads.min(units)).map(|across| ((threads / across).min(strips), across));
    let longest = |(down, across): &(usize, usize)| {
        units.div_ceil(*across) * (strips.div_ceil(*down) + PACKING)
    };
    grids.min_by_key(longest).unwrap_or((1, 1))
}

/// Where a task packs what it multiplies.
struct Room<'a> {
    strip: &'a mut Strip,
    /// Panels of B, one behind the other.
    panels: &'a mut [f32],
    /// For packing them.
    scratch: &'a mut [f32],
    /// Columns that they are of at most.
    width: usize,
}

/// A part of C and what it is the product of.
struct Multiply<'a, B> {
    a: Matrix<'a>,
    b: B,
    accumulate: bool,
    part: Part<'a>,
    room: Room<'a>,
}

impl<B: Columns> Kernel for Multiply<'_, B> {
    #[inline(always)]
    fn run(self, instructions: impl Instructions) {
        self.multiply(instructions);
    }
}

impl<B: Columns> Multiply<'_, B> {
    #[inline(always)]
    fn multiply<I: Instructions>(mut self, instructions: I) {
        for columns in blocks(self.part.columns.len(), self.room.width) {
            for depth in blocks(self.a.columns, block_depth(self.a.columns)) {
                self.multiply_block(instructions, columns.clone(), depth);
            }
        }
    }

    /// Multiplies so many steps of k into so many of the part's columns.
    #[inline(always)]
    fn multiply_block<I: Instructions>(
        &mut self,
        instructions: I,
        columns: Range<usize>,
        depth: Range<usize>,
    ) {
        let accumulate = self.accumulate || depth.start > 0;
        let Room { strip, panels, scratch, .. } = &mut self.room;
        let count = columns.len().div_ceil(COLUMNS);
        let panels = &mut panels[..count * COLUMNS * depth.len()];
        if !columns.len().is_multiple_of(COLUMNS) {
            panels[(count - 1) * COLUMNS * depth.len()..].fill(0.0);
        }
        let first = self.part.columns.start + columns.start;
        self.b.pack(instructions, first..first + columns.len(), &depth, scratch, panels);
        let steps: &[Step] = panels.as_chunks().0.as_chunks().0;
        let height = tile::rows::<I>();
        for (number, rows) in self.part.rows.chunks_mut(height).enumerate() {
            let first = self.part.first_row + number * height;
            pack::rows(self.a, first..first + rows.len(), height, &depth, strip);
            for (panel, steps) in steps.chunks(depth.len()).enumerate() {
                let next = first + height..first + 2 * height;
                let ahead = Ahead::new(self.a, next, &depth, (panel, count));
                let start = columns.start + panel * COLUMNS;
                let columns = start..columns.end.min(start + COLUMNS);
                let pass = Pass { strip, panel: steps, ahead, columns, accumulate };
                pass.multiply(instructions, rows);
            }
        }
    }
}

/// Runs `work` with a scratch of so many floats, which begin with a cache line.
fn with_floats(which: Scratch, count: usize, work: impl FnOnce(&mut [f32])) {
    with_scratch(which, count + LANES, |words| {
        work(&mut aligned(bytemuck::cast_slice_mut(words))[..count]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Format;

    #[test]
    fn blocks_are_whole_and_fit() {
        assert!(Format::ALL.iter().all(|format| WHOLE.is_multiple_of(format.block_elements())));
        for steps in [1, 255, 576, 1536, 1537, 1600, 2048, 4096, 11_008] {
            let depth = block_depth(steps);
            assert!(depth <= DEPTH && (depth == steps || depth.is_multiple_of(WHOLE)), "{steps}");
            for (columns, unit) in [(1, 32), (96, 32), (288, 32), (11_008, 32), (4096, 256)] {
                let width = block_width(columns, depth, unit);
                assert!(width.is_multiple_of(unit) && width > 0);
                assert!(width == unit || width * depth <= PACKED, "{columns} by {depth}");
            }
        }
    }

    #[test]
    fn every_grid_covers_c_with_no_more_parts_than_threads() {
        for threads in [1, 2, 3, 8, 16, 40] {
            for (strips, units) in [(1, 1), (1, 48), (74, 6), (74, 18), (19, 1536), (1, 2)] {
                let (down, across) = grid(strips, units, threads);
                assert!((1..=threads).contains(&(down * across)), "{strips} by {units}");
                assert!(down <= strips && across <= units);
            }
        }
        // Two threads share columns, so that each packs half of them.
        assert_eq!(grid(74, 18, 2), (1, 2));
    }
}
