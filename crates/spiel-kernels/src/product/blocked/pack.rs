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
            self.copy_columns(&lanes, &depth, panel);
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

    /// Steps of k lie side by side: lanes are written as columns.
    fn copy_columns<const WIDTH: usize>(
        self,
        lanes: &Range<usize>,
        depth: &Range<usize>,
        panel: &mut [[f32; WIDTH]],
    ) {
        let from = &self.data[lanes.start * self.lane_stride + depth.start..];
        let sizes = (lanes.len(), depth.len());
        write_columns(from, self.lane_stride, sizes, panel.as_flattened_mut(), WIDTH);
        if lanes.len() < WIDTH {
            for row in panel {
                row[lanes.len()..].fill(0.0);
            }
        }
    }
}
