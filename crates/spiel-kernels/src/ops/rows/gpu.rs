use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work};
use std::ops::Range;

/// Entries `list` of the rows, from the rows `window` of x, of which alone it is given. Buffers: x, rows, out.
#[must_use]
pub fn gather_rows_program(list: &Range<usize>, width: usize, window: &Range<usize>) -> Program {
    program("gather_rows", include_str!("gather_rows.wgsl"), list, width, window)
}

/// Entries `list` of the rows, to the rows `window` of the output, of which alone it is given. Buffers: x, rows, out.
#[must_use]
pub fn scatter_rows_program(list: &Range<usize>, width: usize, window: &Range<usize>) -> Program {
    program("scatter_rows", include_str!("scatter_rows.wgsl"), list, width, window)
}

fn program(
    label: &'static str,
    text: &'static str,
    list: &Range<usize>,
    width: usize,
    window: &Range<usize>,
) -> Program {
    let count = list.len() * width;
    let params = [count, width, list.start, window.start, window.len()];
    let params = params.map(|param| param as u32).to_vec();
    Program::new(label, text, &[], &[Read, Read, ReadWrite], params, count.div_ceil(256))
        .doing(Work::new([list.len(), width], 0, 2 * count + list.len()))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    vec![gather_rows_program(&(0..9), 64, &(0..9)), scatter_rows_program(&(0..9), 64, &(0..9))]
}
