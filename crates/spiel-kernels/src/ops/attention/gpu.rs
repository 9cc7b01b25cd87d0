use super::{Heads, Span};
use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Access, Program, word};
use std::ops::Range;

/// Rows that a workgroup owns: of queries, each head that shares a key head counted, or of keys.
const TILE: usize = 64;
/// With fewer rows of queries, one workgroup each is faster than a tile.
const FEW_ROWS: usize = 16;
/// Invocations of a workgroup that owns one row.
const ROW_WIDTH: usize = 128;

/// Entries of a head that the programs of tiles reach.
pub const LARGEST_HEAD: usize = 256;

/// For every query the first key it sees and the end, as rows of the keys: `[T, 2]`. Both never fall.
#[must_use]
pub fn seen_keys(spans: &[Span], shape: Heads) -> Vec<u32> {
    let ranges = spans.iter().flat_map(|span| {
        (0..span.query_length).map(|query| {
            let range = span.visible(query, shape.window);
            [span.key_start + range.start, span.key_start + range.end]
        })
    });
    ranges.flatten().map(|row| row as u32).collect()
}

/// For every key the first query that sees it and the end, as rows of the queries: `[S, 2]`. Both never fall. The spans'
/// queries and keys must be the same tokens.
#[must_use]
pub fn seeing_queries(spans: &[Span], shape: Heads) -> Vec<u32> {
    let ranges = spans.iter().flat_map(|span| {
        (0..span.key_length).map(|key| {
            let end = shape.window.map_or(span.query_length, |window| key + window);
            [span.query_start + key, span.query_start + end.min(span.query_length)]
        })
    });
    ranges.flatten().map(|row| row as u32).collect()
}

/// The queries and keys that a program is given, and whether it adds to the results of others.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Rows of q, out, log-sums, stats and their gradients.
    pub queries: Range<usize>,
    /// Rows of k, v and their gradients.
    pub keys: Range<usize>,
    /// Whether the results of other keys (of other queries, in the keys' gradients) are there and are completed.
    pub resumes: bool,
}

fn program(
    label: &'static str,
    text: &'static str,
    shape: Heads,
    bound: &Bound,
    buffers: &'static [Access],
    groups: usize,
) -> Program {
    let constants = [
        Constant::Part("operands", include_str!("operands.wgsl")),
        Constant::Part("backward_operands", include_str!("backward_operands.wgsl")),
        Constant::Part("query_rows", include_str!("query_rows.wgsl")),
        Constant::Part("tile", include_str!("tile.wgsl")),
        Constant::U32("HEAD_DIM", shape.head_dim as u32),
        Constant::U32("KV_HEADS", shape.kv_heads as u32),
        Constant::U32("SHARED", (shape.heads / shape.kv_heads) as u32),
        Constant::U32("REDUCE_WIDTH", ROW_WIDTH as u32),
        Constant::Bool("CAPPED", shape.soft_cap.is_some()),
    ];
    let Bound { queries, keys, resumes } = bound;
    let params = [queries.len(), queries.start, keys.len(), keys.start].map(|row| row as u32);
    let cap = word(shape.soft_cap.unwrap_or(0.0));
    let params = [&params[..], &[word(shape.factor), cap, u32::from(*resumes)]].concat();
    Program::new(label, text, &constants, buffers, params, groups)
}

/// Buffers: q, k, v, seen keys (of all queries), out, log-sums.
#[must_use]
pub fn attention_program(shape: Heads, bound: &Bound) -> Program {
    let buffers = &[Read, Read, Read, Read, ReadWrite, ReadWrite];
    let rows = bound.queries.len() * shape.heads / shape.kv_heads;
    let (text, groups) = if rows < FEW_ROWS || shape.head_dim > LARGEST_HEAD {
        (include_str!("attention_row.wgsl"), rows)
    } else {
        (include_str!("attention.wgsl"), rows.div_ceil(TILE))
    };
    program("attention", text, shape, bound, buffers, groups * shape.kv_heads)
}

/// Buffers: out, `grad_out`, log-sums, stats `[T, H, 2]`.
#[must_use]
pub fn attention_stats_program(tokens: usize, shape: Heads) -> Program {
    let text = include_str!("attention_stats.wgsl");
    let rows = tokens * shape.heads;
    let buffers = &[Read, Read, Read, ReadWrite];
    let constants = [Constant::U32("HEAD_DIM", shape.head_dim as u32)];
    let (params, groups) = (vec![rows as u32], rows.div_ceil(64));
    Program::new("attention_stats", text, &constants, buffers, params, groups)
}

/// Buffers: q, k, v, seen keys (of all queries), stats, `grad_out`, `grad_q`.
#[must_use]
pub fn attention_backward_q_program(shape: Heads, bound: &Bound) -> Program {
    let text = include_str!("attention_backward_q.wgsl");
    let buffers = &[Read, Read, Read, Read, Read, Read, ReadWrite];
    let rows = bound.queries.len() * shape.heads / shape.kv_heads;
    let groups = rows.div_ceil(TILE) * shape.kv_heads;
    program("attention_backward_q", text, shape, bound, buffers, groups)
}

/// Buffers: q, k, v, seeing queries (of all keys), stats, `grad_out`, `grad_k`, `grad_v`.
#[must_use]
pub fn attention_backward_kv_program(shape: Heads, bound: &Bound) -> Program {
    let text = include_str!("attention_backward_kv.wgsl");
    let buffers = &[Read, Read, Read, Read, Read, Read, ReadWrite, ReadWrite];
    let groups = bound.keys.len().div_ceil(TILE) * shape.kv_heads;
    program("attention_backward_kv", text, shape, bound, buffers, groups)
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    let mut programs = vec![attention_stats_program(3, Heads::new(4, 2, 256))];
    for (head_dim, soft_cap) in
        [(1, None), (6, None), (64, None), (160, None), (256, None), (256, Some(50.0))]
    {
        let heads = Heads { soft_cap, ..Heads::new(4, 2, head_dim) };
        for queries in [1, 100] {
            let bound = Bound { queries: 0..queries, keys: 0..100, resumes: false };
            programs.push(attention_program(heads, &bound));
            programs.push(attention_backward_q_program(heads, &bound));
            programs.push(attention_backward_kv_program(heads, &bound));
        }
    }
    programs
}
