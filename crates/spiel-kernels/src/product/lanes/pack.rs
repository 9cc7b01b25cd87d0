//! Copies of the operands in the order in which tiles read them.

use super::super::blocked::Operand;
use crate::columns::write_columns;
use std::ops::Range;

/// Writes the panel `[depth, WIDTH]` of the given lanes, no more than `WIDTH`; zeros stand for those that are missing.
pub(super) fn pack<const WIDTH: usize>(
    operand: Operand<f32>,
    lanes: Range<usize>,
    depth: Range<usize>,
    panel: &mut [f32],
) {
    let panel = panel.as_chunks_mut::<WIDTH>().0;
    if operand.lane_stride == 1 {
        copy_rows(operand, &lanes, depth, panel);
    } else {
        debug_assert_eq!(operand.depth_stride, 1, "one of the strides is 1");
        copy_columns(operand, &lanes, &depth, panel);
    }
}

/// Lanes lie side by side: a copy for each step of k.
fn copy_rows<const WIDTH: usize>(
    operand: Operand<f32>,
    lanes: &Range<usize>,
    depth: Range<usize>,
    panel: &mut [[f32; WIDTH]],
) {
    for (k, row) in depth.zip(panel) {
        let from = &operand.data[k * operand.depth_stride + lanes.start..][..lanes.len()];
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
    operand: Operand<f32>,
    lanes: &Range<usize>,
    depth: &Range<usize>,
    panel: &mut [[f32; WIDTH]],
) {
    let from = &operand.data[lanes.start * operand.lane_stride + depth.start..];
    let sizes = (lanes.len(), depth.len());
    write_columns(from, operand.lane_stride, sizes, panel.as_flattened_mut(), WIDTH);
    if lanes.len() < WIDTH {
        for row in panel {
            row[lanes.len()..].fill(0.0);
        }
    }
}
