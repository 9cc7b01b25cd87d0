//! Results are computed head by head inside each span, so that every task owns the memory it writes, and then put in
//! the order of the tokens in place.

use super::Span;
use crate::parallel::for_each;

/// The rows of each span, which lie in ascending order, as slices of their own.
pub(super) fn regions<'a, T>(
    mut data: &'a mut [T],
    spans: &[Span],
    rows: impl Fn(&Span) -> (usize, usize),
    width: usize,
) -> Vec<&'a mut [T]> {
    let mut at = 0;
    let mut regions = Vec::with_capacity(spans.len());
    for (start, length) in spans.iter().map(rows) {
        let (region, rest) = data[(start - at) * width..].split_at_mut(length * width);
        regions.push(region);
        data = rest;
        at = start + length;
    }
    regions
}

/// Turns each region from `[heads, rows, width]` to `[rows, heads, width]`.
pub(super) fn interleave_all(regions: Vec<&mut [f32]>, heads: usize, width: usize) {
    for_each(regions, |region| interleave(region, heads, width));
}

/// Moves rows along the cycles of the permutation, so that one row and a mark for each are all that is held beside.
fn interleave(data: &mut [f32], heads: usize, width: usize) {
    let count = data.len() / width;
    let rows = count / heads;
    if rows <= 1 || heads == 1 {
        return;
    }
    let source = |place: usize| place % heads * rows + place / heads;
    let mut moved = vec![false; count];
    let mut held = vec![0.0; width];
    for start in 0..count {
        if moved[start] || source(start) == start {
            continue;
        }
        held.copy_from_slice(&data[start * width..][..width]);
        let mut place = start;
        while source(place) != start {
            let from = source(place);
            data.copy_within(from * width..(from + 1) * width, place * width);
            moved[place] = true;
            place = from;
        }
        data[place * width..][..width].copy_from_slice(&held);
        moved[place] = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_interleaved_in_place() {
        for (heads, rows, width) in [(1, 5, 2), (5, 1, 2), (3, 4, 1), (4, 6, 3), (9, 64, 2)] {
            let mut data: Vec<f32> = (0..heads * rows * width).map(|i| i as f32).collect();
            let before = data.clone();
            interleave(&mut data, heads, width);
            for i in 0..data.len() {
                let (row, head, column) = (i / width / heads, i / width % heads, i % width);
                assert_eq!(data[i], before[(head * rows + row) * width + column]);
            }
        }
    }

    #[test]
    fn regions_skip_what_no_span_covers() {
        let span = |start, length| Span {
            query_start: start,
            query_length: length,
            key_start: 0,
            key_length: length,
        };
        let mut data = [0, 1, 2, 3, 4, 5, 6, 7];
        let spans = [span(0, 1), span(2, 2)];
        let regions = regions(&mut data, &spans, |span| (span.query_start, span.query_length), 2);
        assert_eq!(regions, [&[0, 1][..], &[4, 5, 6, 7]]);
    }
}
