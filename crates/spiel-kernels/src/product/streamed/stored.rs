//! Weights as they are stored, with deltas to add, as what panels are packed from.

use super::blocks;
use super::pack::{Columns, write_step};
use super::tile::COLUMNS;
use crate::columns::write_columns;
use crate::formats::{Format, decode};
use crate::simd::CACHE_LINE;
use crate::simd::instructions::Instructions;
use std::ops::Range;

/// Rows by which the part of a row is asked for before it is decoded.
const ROWS_AHEAD: usize = 16;

/// Rows that are decoded before they are written as columns: a multiple of what is transposed in registers.
pub(super) const ROWS: usize = 16;

/// A matrix `[rows, width]` in a stored format, of whole blocks a row, and deltas to add to it.
#[derive(Clone, Copy)]
pub struct StoredMatrix<'a> {
    format: Format,
    bytes: &'a [u8],
    /// Flat positions, sorted.
    indices: &'a [u32],
    values: &'a [f32],
    rows: usize,
    width: usize,
}

impl<'a> StoredMatrix<'a> {
    /// A matrix of `rows` rows of `width` weights, with the values to add at sorted flat positions.
    ///
    /// # Panics
    /// When the bytes are too few, rows are no whole blocks, or there are not as many values as positions.
    #[must_use]
    pub fn new(
        format: Format,
        bytes: &'a [u8],
        (indices, values): (&'a [u32], &'a [f32]),
        [rows, width]: [usize; 2],
    ) -> Self {
        assert!(width.is_multiple_of(format.block_elements()), "rows of {width} are cut in blocks");
        assert!(format.bytes(rows * width) <= bytes.len(), "{rows} x {width} are more than stored");
        assert_eq!(indices.len(), values.len(), "positions and values of deltas");
        debug_assert!(indices.is_sorted(), "positions are not sorted");
        Self { format, bytes, indices, values, rows, width }
    }

    /// The same as a factor whose columns are this matrix's rows.
    pub(crate) fn transposed(self) -> TransposedStored<'a> {
        TransposedStored(self)
    }

    /// Asks for whole blocks of a row. Rows that are read in part are further apart than the hardware looks ahead.
    #[inline(always)]
    fn prefetch(&self, instructions: impl Instructions, row: usize, columns: &Range<usize>) {
        let start = self.format.bytes(row * self.width + columns.start);
        for line in (0..self.format.bytes(columns.len()) + CACHE_LINE - 1).step_by(CACHE_LINE) {
            instructions.prefetch(self.bytes, start + line);
        }
    }

    /// Decodes whole blocks of a row and adds their deltas; `slot` is none behind the first of these, and passes them.
    #[inline(always)]
    fn decode(&self, row: usize, columns: Range<usize>, slot: &mut usize, out: &mut [f32]) {
        let start = row * self.width + columns.start;
        decode(self.format, &self.bytes[self.format.bytes(start)..], out);
        *slot = first_from(self.indices, *slot, start);
        while let Some(index) = self.indices.get(*slot)
            && (*index as usize) < start + columns.len()
        {
            out[*index as usize - start] += self.values[*slot];
            *slot += 1;
        }
    }
}

/// The first slot from `slot` on whose position is `place` or later, which is likely near.
#[inline(always)]
fn first_from(indices: &[u32], mut slot: usize, place: usize) -> usize {
    let is_before = |index: &u32| (*index as usize) < place;
    let mut step = 1;
    while indices.get(slot + step - 1).is_some_and(is_before) {
        slot += step;
        step *= 2;
    }
    let end = indices.len().min(slot + step - 1);
    slot + indices[slot..end].partition_point(is_before)
}

/// Rows are steps of k.
impl Columns for StoredMatrix<'_> {
    fn shape(&self) -> (usize, usize) {
        (self.rows, self.width)
    }

    fn unit(&self) -> usize {
        self.format.block_elements()
    }

    fn scratch(columns: usize, _depth: usize) -> usize {
        columns
    }

    #[inline(always)]
    fn pack(
        &self,
        instructions: impl Instructions,
        columns: Range<usize>,
        depth: &Range<usize>,
        scratch: &mut [f32],
        panels: &mut [f32],
    ) {
        let row = &mut scratch[..columns.len()];
        let mut slot = 0;
        for (step, k) in depth.clone().enumerate() {
            self.prefetch(instructions, k + ROWS_AHEAD, &columns);
            self.decode(k, columns.clone(), &mut slot, row);
            write_step(row, step, depth.len(), panels);
        }
    }
}

/// A stored matrix whose rows are columns: steps of k lie side by side.
#[derive(Clone, Copy)]
pub(crate) struct TransposedStored<'a>(StoredMatrix<'a>);

impl Columns for TransposedStored<'_> {
    fn shape(&self) -> (usize, usize) {
        (self.0.width, self.0.rows)
    }

    fn unit(&self) -> usize {
        1
    }

    fn scratch(_columns: usize, depth: usize) -> usize {
        ROWS * depth
    }

    #[inline(always)]
    fn pack(
        &self,
        _instructions: impl Instructions,
        columns: Range<usize>,
        depth: &Range<usize>,
        scratch: &mut [f32],
        panels: &mut [f32],
    ) {
        let steps = depth.len();
        let mut slot = 0;
        for lanes in blocks(columns.len(), ROWS) {
            let rows = &mut scratch[..lanes.len() * steps];
            for (lane, row) in lanes.clone().zip(rows.chunks_mut(steps)) {
                self.0.decode(columns.start + lane, depth.clone(), &mut slot, row);
            }
            let (panel, lane) = (lanes.start / COLUMNS, lanes.start % COLUMNS);
            let out = &mut panels[panel * steps * COLUMNS + lane..];
            write_columns(rows, steps, (lanes.len(), steps), out, COLUMNS);
        }
    }
}
