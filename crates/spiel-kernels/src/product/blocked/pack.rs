//! Copies of the operands in the order in which tiles read them.

use super::simd::{load, store, transposed};
use std::ops::Range;

/// One operand as a tile sees it: `lanes` along the tile's edge (rows of A, columns of B), `depth` along k.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub(super) data: &'a [f32],
    pub(super) lane_stride: usize,
    pub(super) depth_stride: usize,
}

impl Operand<'_> {
    /// Writes the panel `[depth, WIDTH]` of the given lanes, no more than `WIDTH`; zeros stand for those that are missing.
    ///
    /// One of the two strides is 1.
    pub(super) fn pack<const WIDTH: usize>(
        self,
        lanes: Range<usize>,
        depth: Range<usize>,
        panel: &mut [f32],
    ) {
        let panel = panel.as_chunks_mut::<WIDTH>().0;
        if self.lane_stride == 1 {
            self.copy_rows(&lanes, depth, panel);
        } else {
            debug_assert_eq!(self.depth_stride, 1, "one of the strides is 1");
            self.copy_columns(lanes, &depth, panel);
        }
    }

    /// Lanes lie side by side: a copy for each step of k.
    fn copy_rows<const WIDTH: usize>(
        self,
        lanes: &Range<usize>,
        depth: Range<usize>,
        panel: &mut [[f32; WIDTH]],
    ) {
        for (k, row) in depth.zip(panel) {
            let from = &self.data[k * self.depth_stride + lanes.start..][..lanes.len()];
            if let Some(from) = from.first_chunk::<WIDTH>() {
                *row = *from;
            } else {
                row[..from.len()].copy_from_slice(from);
                row[from.len()..].fill(0.0);
            }
        }
    }

    /// Steps of k lie side by side: four lanes by four steps at a time are transposed.
    fn copy_columns<const WIDTH: usize>(
        self,
        lanes: Range<usize>,
        depth: &Range<usize>,
        panel: &mut [[f32; WIDTH]],
    ) {
        let lane = |lane: usize| {
            lanes
                .clone()
                .nth(lane)
                .map(|lane| &self.data[lane * self.lane_stride + depth.start..][..depth.len()])
        };
        for first in (0..WIDTH).step_by(4) {
            let rows = [lane(first), lane(first + 1), lane(first + 2), lane(first + 3)];
            if let [Some(a), Some(b), Some(c), Some(d)] = rows {
                interleave([a, b, c, d], first, panel);
            } else {
                for (offset, row) in rows.into_iter().enumerate() {
                    for k in 0..depth.len() {
                        panel[k][first + offset] = row.map_or(0.0, |row| row[k]);
                    }
                }
            }
        }
    }
}

/// Writes four rows as the columns from `first` of a panel.
fn interleave<const WIDTH: usize>(rows: [&[f32]; 4], first: usize, panel: &mut [[f32; WIDTH]]) {
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<4>().0);
    let (fours, rest) = panel.as_chunks_mut::<4>();
    for ((((a, b), c), d), panel) in a.iter().zip(b).zip(c).zip(d).zip(fours) {
        for (column, row) in transposed([load(a), load(b), load(c), load(d)]).into_iter().zip(panel)
        {
            if let Some(row) = row[first..].first_chunk_mut::<4>() {
                store(column, row);
            }
        }
    }
    let tails = rows.map(|row| row.as_chunks::<4>().1);
    for (k, row) in rest.iter_mut().enumerate() {
        for (tail, value) in tails.iter().zip(&mut row[first..]) {
            *value = tail[k];
        }
    }
}
