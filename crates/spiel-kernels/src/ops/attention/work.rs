//! What attention's programs have to do: it follows from how many keys the queries of all spans see.
//!
//! A visible pair of query and key costs a multiply-add per entry of a head in every product that it is part of; the
//! softmax between the products is not counted.

use super::{Heads, Span};
use crate::program::Work;

/// Sizes of one launch over all spans.
struct Sizes {
    /// Entries of the queries, and of their gradients and outputs.
    queries: usize,
    /// Entries of the keys, and of the values.
    keys: usize,
    /// Multiply-adds of one product over the visible pairs of all heads.
    products: u64,
    /// Rows of statistics: queries times heads.
    rows: usize,
    shape: [usize; 3],
}

fn sizes(spans: &[Span], shape: Heads) -> Sizes {
    let tokens: usize = spans.iter().map(|span| span.query_length).sum();
    let keys: usize = spans.iter().map(|span| span.key_length).sum();
    // Pairs are as the square of the tokens, and need 64 bits on every target.
    let seen = |span: &Span| -> u64 {
        (0..span.query_length).map(|query| span.visible(query, shape.window).len() as u64).sum()
    };
    let pairs: u64 = spans.iter().map(seen).sum();
    Sizes {
        queries: tokens * shape.query_width(),
        keys: keys * shape.key_width(),
        products: pairs * shape.query_width() as u64,
        rows: tokens * shape.heads,
        shape: [tokens, shape.heads, shape.head_dim],
    }
}

/// Of `attention`: the products with keys and values; q, out, k, v and the log-sums move.
#[must_use]
pub fn attention_work(spans: &[Span], shape: Heads) -> Work {
    let Sizes { queries, keys, products, rows, shape: sizes } = sizes(spans, shape);
    Work { flops: 4 * products, ..Work::new(sizes, 0, 2 * queries + 2 * keys + rows) }
}

/// Of `attention_stats`: one product of out and its gradient.
#[must_use]
pub fn attention_stats_work(spans: &[Span], shape: Heads) -> Work {
    let Sizes { queries, rows, shape: sizes, .. } = sizes(spans, shape);
    Work::new(sizes, 2, 2 * queries + 3 * rows)
}

/// Of `attention_backward_q`: scores, their gradients and the gradient of q; q, k, v, two gradients and stats move.
#[must_use]
pub fn attention_backward_q_work(spans: &[Span], shape: Heads) -> Work {
    let Sizes { queries, keys, products, rows, shape: sizes } = sizes(spans, shape);
    Work { flops: 6 * products, ..Work::new(sizes, 0, 3 * queries + 2 * keys + 2 * rows) }
}

/// Of `attention_backward_kv`: scores, their gradients and the gradients of k and v; q, k, v, three gradients and stats
/// move.
#[must_use]
pub fn attention_backward_kv_work(spans: &[Span], shape: Heads) -> Work {
    let Sizes { queries, keys, products, rows, shape: sizes } = sizes(spans, shape);
    Work { flops: 8 * products, ..Work::new(sizes, 0, 2 * queries + 4 * keys + 2 * rows) }
}

/// Of both and the statistics in one pass, which makes scores and their gradients once: q, k, v, out, the gradients in all
/// of these and the log-sums move.
#[must_use]
pub fn attention_backward_work(spans: &[Span], shape: Heads) -> Work {
    let Sizes { queries, keys, products, rows, shape: sizes } = sizes(spans, shape);
    let flops = 10 * products + 2 * queries as u64;
    Work { flops, ..Work::new(sizes, 0, 4 * queries + 4 * keys + rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_follows_the_visible_pairs() {
        let span = |start, length| Span {
            query_start: start,
            query_length: length,
            key_start: start,
            key_length: length,
        };
        let heads = Heads::new(4, 2, 8);
        // Sequences of 3 and 2 tokens have 6 and 3 causal pairs.
        let work = attention_work(&[span(0, 3), span(3, 2)], heads);
        assert_eq!(work.flops, 4 * 9 * 4 * 8);
        assert_eq!(work.bytes, 4 * (2 * 5 * 32 + 2 * 5 * 16 + 5 * 4));
        // Five products, and out by its gradient.
        let backward = attention_backward_work(&[span(0, 3), span(3, 2)], heads);
        assert_eq!(backward.flops, 5 * 2 * 9 * 4 * 8 + 2 * 5 * 4 * 8);
        assert_eq!(backward.bytes, 4 * (4 * 5 * 32 + 4 * 5 * 16 + 5 * 4));
        let window = Heads { window: Some(1), ..heads };
        assert_eq!(attention_work(&[span(0, 3), span(3, 2)], window).flops, 4 * 5 * 4 * 8);
    }
}
