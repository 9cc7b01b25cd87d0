use crate::ops::top_k;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work};
use crate::random::half_bits;
use std::ops::Range;

/// Words of a run, the bits of which the top-k's `place_runs_program` places as it does keys.
pub const RUN: usize = top_k::RUN / 32;

/// Marks `count` of `total` positions in the words `window` of a bitmap, of which alone it is given. Buffers: marks.
#[must_use]
pub fn mark_drawn_program(
    [seed, stream]: [u32; 2],
    count: usize,
    total: u32,
    window: &Range<usize>,
) -> Program {
    let [first, length] = [window.start as u32, window.len() as u32];
    let params = vec![count as u32, total, half_bits(total), seed, stream, first, length];
    let text = include_str!("mark_drawn.wgsl");
    Program::new("mark_drawn", text, &[], &[ReadWrite], params, count.div_ceil(256))
        .doing(Work::new([count], 0, count))
}

/// Of the bitmap's words from number `first` on, where a run begins. Buffers: marks, runs of all words `[_, 2]`.
#[must_use]
pub fn count_marked_program(words: usize, first: usize) -> Program {
    let text = include_str!("count_marked.wgsl");
    let (params, groups) = (vec![words as u32, first as u32], words.div_ceil(RUN));
    Program::new("count_marked", text, &[], &[Read, ReadWrite], params, groups).doing(Work::new(
        [words],
        0,
        words + 2 * groups,
    ))
}

/// Of the bitmap's words from number `first` on, where a run begins. Buffers: marks, runs of all words, positions.
#[must_use]
pub fn write_marked_program(words: usize, first: usize) -> Program {
    let params = vec![words as u32, first as u32];
    let text = include_str!("write_marked.wgsl");
    let buffers = &[Read, Read, ReadWrite];
    Program::new("write_marked", text, &[], buffers, params, words.div_ceil(RUN)).doing(Work::new(
        [words],
        0,
        words,
    ))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    vec![
        mark_drawn_program([1, 2], 9, 99, &(0..9)),
        count_marked_program(9, 0),
        write_marked_program(9, 0),
    ]
}
