//! Copies of the operands in the order in which tiles read them.

use crate::columns::write_columns;
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
                write_columns([a, b, c, d], &mut panel.as_flattened_mut()[first..], WIDTH);
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
