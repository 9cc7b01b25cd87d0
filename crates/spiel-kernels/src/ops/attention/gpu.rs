use super::{Heads, Span};
use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, word};

/// Invocations of a workgroup.
const WIDTH: usize = 128;

/// For every query the first key it sees and the end, as rows of the keys: `[T, 2]`.
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

/// For every key the first query that sees it and the end, as rows of the queries: `[S, 2]`. The spans' queries and
/// keys must be the same tokens.
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

fn constants(shape: Heads) -> [Constant; 3] {
    [
        Constant::U32("REDUCE_WIDTH", WIDTH as u32),
        Constant::U32("HEAD_DIM", shape.head_dim as u32),
        Constant::U32("ENTRIES", shape.head_dim.div_ceil(WIDTH) as u32),
    ]
}

fn params(rows: usize, shape: Heads) -> Vec<u32> {
    vec![rows as u32, shape.heads as u32, shape.kv_heads as u32, word(shape.factor())]
}

/// Buffers: q, k, v, seen keys, out, log-sums.
#[must_use]
pub fn attention_program(tokens: usize, shape: Heads) -> Program {
    let text = include_str!("attention.wgsl");
    let buffers = &[Read, Read, Read, Read, ReadWrite, ReadWrite];
    let groups = tokens * shape.heads;
    Program::new("attention", text, &constants(shape), buffers, params(tokens, shape), groups)
}

/// Buffers: out, `grad_out`, log-sums, stats `[T, H, 2]`.
#[must_use]
pub fn attention_stats_program(tokens: usize, shape: Heads) -> Program {
    let text = include_str!("attention_stats.wgsl");
    let rows = tokens * shape.heads;
    let buffers = &[Read, Read, Read, ReadWrite];
    Program::new("attention_stats", text, &constants(shape), buffers, vec![rows as u32], rows)
}

/// Buffers: q, k, v, seen keys, stats, `grad_out`, `grad_q`.
#[must_use]
pub fn attention_backward_q_program(tokens: usize, shape: Heads) -> Program {
    let text = include_str!("attention_backward_q.wgsl");
    let buffers = &[Read, Read, Read, Read, Read, Read, ReadWrite];
    let (params, groups) = (params(tokens, shape), tokens * shape.heads);
    Program::new("attention_backward_q", text, &constants(shape), buffers, params, groups)
}

/// Buffers: q, k, v, seeing queries, stats, `grad_out`, `grad_k`, `grad_v`.
#[must_use]
pub fn attention_backward_kv_program(keys: usize, shape: Heads) -> Program {
    let text = include_str!("attention_backward_kv.wgsl");
    let buffers = &[Read, Read, Read, Read, Read, Read, ReadWrite, ReadWrite];
    let (params, groups) = (params(keys, shape), keys * shape.kv_heads);
    Program::new("attention_backward_kv", text, &constants(shape), buffers, params, groups)
}
