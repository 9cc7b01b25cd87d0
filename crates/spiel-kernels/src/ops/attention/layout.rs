//! Results are cut so that every task owns the memory that it writes, where it lies among the tokens.

use super::Span;
use std::ops::Range;

/// The rows of each span, which lie in ascending order, as slices of their own.
fn regions<'a, T>(
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

/// Some rows of a span, and of each the part that belongs to one key head.
pub(super) struct Cut<'a> {
    /// Which of the spans.
    pub(super) span: usize,
    pub(super) kv_head: usize,
    /// Counted inside the span.
    pub(super) rows: Range<usize>,
    /// One slice a row.
    pub(super) parts: Vec<&'a mut [f32]>,
}

/// Cuts rows of one part for each of `kv_heads` heads, `width` wide, into `height` rows of one head at a time: span by
/// span, from first rows to last, head by head.
pub(super) fn cut<'a>(
    data: &'a mut [f32],
    spans: &[Span],
    rows: impl Fn(&Span) -> (usize, usize),
    (kv_heads, width): (usize, usize),
    height: usize,
) -> Vec<Cut<'a>> {
    let row_width = kv_heads * width;
    let mut cuts = Vec::new();
    for (span, region) in regions(data, spans, rows, row_width).into_iter().enumerate() {
        for (block, region) in region.chunks_mut(height * row_width).enumerate() {
            let (start, count) = (block * height, region.len() / row_width);
            let first = cuts.len();
            cuts.extend((0..kv_heads).map(|kv_head| Cut {
                span,
                kv_head,
                rows: start..start + count,
                parts: Vec::with_capacity(count),
            }));
            for row in region.chunks_mut(row_width) {
                let parts = row.chunks_mut(width);
                cuts[first..].iter_mut().zip(parts).for_each(|(cut, part)| cut.parts.push(part));
            }
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_cut_once_and_what_no_span_covers_is_not() {
        let span = |start, length| Span {
            query_start: start,
            query_length: length,
            key_start: 0,
            key_length: length,
        };
        // Rows of two heads, each two wide.
        let mut data: Vec<f32> = (0..6 * 4).map(|i| i as f32).collect();
        let spans = [span(0, 1), span(2, 3)];
        let cuts = cut(&mut data, &spans, Span::query_rows, (2, 2), 2);
        let found: Vec<_> =
            cuts.iter().map(|cut| (cut.span, cut.kv_head, cut.rows.clone())).collect();
        assert_eq!(
            found,
            [(0, 0, 0..1), (0, 1, 0..1), (1, 0, 0..2), (1, 1, 0..2), (1, 0, 2..3), (1, 1, 2..3)]
        );
        assert_eq!(cuts[1].parts, [[2.0, 3.0]]);
        assert_eq!(cuts[3].parts, [[10.0, 11.0], [14.0, 15.0]]);
        assert_eq!(cuts[4].parts, [[16.0, 17.0]]);
    }
}
