//! Weights in every stored format: embedding, materialisation with deltas, and products without it.

use super::products::tilings;
use super::subject::small_gpu;
use super::{Bound, Subject, normal};
use crate::device::{BlockOps, GpuDevice, Stored};
use spiel_kernels::element::Element;
use spiel_kernels::formats::{Format, encode};
use spiel_kernels::ops::linear::LinearShape;
use spiel_kernels::random::positions;

cases! {
    materialise,
    linear_packed,
    a_few_tokens_make_no_matrix_dense,
    embedding,
    embedding_backward,
}

/// Random weights in their stored form, as words.
pub(super) fn stored(format: Format, elements: usize) -> Vec<u32> {
    let values: Vec<f32> = bytemuck::cast_slice(&normal(1, elements)).to_vec();
    let bytes = format.bytes(elements);
    let mut stored = vec![0; bytes.next_multiple_of(4)];
    encode(format, &values, &mut stored[..bytes]);
    bytemuck::pod_collect_to_vec(&stored)
}

/// The width of a row of so many blocks, of which formats with more than 32 elements a block get fewer.
fn width_of(format: Format, blocks: usize) -> usize {
    let block = format.block_elements();
    (blocks * 32 / block.max(32)).max(1) * block
}

async fn materialise(gpus: &[GpuDevice]) {
    let Some(gpu) = gpus.first() else { return };
    // Parts begin where blocks and what they decode to are both aligned: of K blocks, every 128 KiB.
    let small = small_gpu(128 << 10).await.expect("the GPU that is open already");
    for gpu in [gpu, &small] {
        for &format in Format::ALL {
            for (rows, blocks) in [(1, 1), (3, 5), (131, 7), (67, 21)] {
                let width = width_of(format, blocks);
                let elements = rows * width;
                for count in [None, Some(0), Some(1), Some(elements / 3)] {
                    let case = format!("materialise {format:?} {rows}x{width} {count:?}");
                    conform!(gpu, case, [Bound::Exact], |on| {
                        let stored = on.holding(&stored(format, elements));
                        let deltas = count.map(|count| {
                            let indices = positions(3, 0, count, elements as u32);
                            (on.holding(&indices), on.holding(&normal(4, count)))
                        });
                        let deltas = deltas.as_ref().map(|(indices, values)| (indices, values));
                        let stored = Stored { data: &stored, format, deltas };
                        let mut weights = on.output(elements);
                        on.materialise(&stored, elements, Element::F32, &mut weights);
                        vec![on.taken(&weights, elements).await]
                    });
                }
            }
        }
    }
}

/// Tokens, rows, blocks of a row, and deltas if any.
const PACKED: [(usize, usize, usize, Option<usize>); 11] = [
    (1, 1, 1, None),
    (1, 1, 1, Some(1)),
    (1, 67, 21, Some(0)),
    (1, 131, 7, Some(300)),
    (2, 700, 8, Some(50)),
    (3, 3, 37, Some(90)),
    (3, 67, 21, None),
    (3, 9, 64, Some(40)),
    (3, 5, 67, Some(150)),
    (8, 300, 3, Some(899)),
    (8, 131, 7, Some(600)),
];

async fn linear_packed(gpus: &[GpuDevice]) {
    for (gpu, tiling) in tilings(gpus) {
        gpu.tile_by(tiling);
        for &format in Format::ALL {
            for (tokens, rows, blocks, count) in PACKED {
                let width = width_of(format, blocks);
                let (elements, shape) =
                    (rows * width, LinearShape { tokens, inputs: width, outputs: rows });
                let case = format!(
                    "linear_packed {format:?} {tokens} by {rows}x{width} {count:?} {tiling:?}"
                );
                // Sums in another order than the CPU's, up to 2144 terms of size one.
                conform!(gpu, case, [Bound::Within(2e-5)], |on| {
                    let data = on.holding(&stored(format, elements));
                    let deltas = count.map(|count| {
                        let indices = positions(3, 0, count, elements as u32);
                        (on.holding(&indices), on.holding(&normal(4, count)))
                    });
                    let deltas = deltas.as_ref().map(|(indices, values)| (indices, values));
                    let weight = Stored { data: &data, format, deltas };
                    let x = on.holding(&normal(2, tokens * width));
                    let mut y = on.output(tokens * rows);
                    if !on.linear_packed(&x, &weight, shape, &mut y) {
                        let mut dense = on.output(elements);
                        on.materialise(&weight, elements, Element::F32, &mut dense);
                        on.linear(&x, &dense, shape, &mut y);
                    }
                    vec![on.taken(&y, tokens * rows).await]
                });
            }
        }
    }
}

async fn a_few_tokens_make_no_matrix_dense(gpus: &[GpuDevice]) {
    for gpu in gpus {
        let (inputs, outputs) = (32, 5);
        let data = gpu.holding(&normal(1, inputs * outputs));
        let weight = Stored { data: &data, format: Format::F32, deltas: None };
        for tokens in 1..10 {
            let x = gpu.holding(&normal(2, tokens * inputs));
            let mut y = gpu.output(tokens * outputs);
            let shape = LinearShape { tokens, inputs, outputs };
            assert_eq!(gpu.linear_packed(&x, &weight, shape, &mut y), tokens <= 8, "{tokens}");
        }
    }
}

async fn embedding(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for &format in Format::ALL {
            for (vocab, blocks, count) in [(1, 1, 1), (7, 3, 5), (101, 8, 33), (700, 8, 70)] {
                let width = width_of(format, blocks);
                let case = format!("embedding {format:?} {vocab}x{width} of {count}");
                conform!(gpu, case, [Bound::Exact], |on| {
                    let tokens: Vec<u32> = (0..count).map(|i| (i * 31 % vocab) as u32).collect();
                    let tokens = on.holding(&tokens);
                    let table = on.holding(&stored(format, vocab * width));
                    let mut x = on.output(count * width);
                    on.embedding(&tokens, count, &table, format, width, &mut x);
                    vec![on.taken(&x, count * width).await]
                });
            }
        }
    }
}

async fn embedding_backward(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for (vocab, width, count) in [(1, 1, 1), (3, 7, 20), (90, 250, 129)] {
            let case = format!("embedding_backward {vocab}x{width} of {count}");
            conform!(gpu, case, [Bound::Exact], |on| {
                let tokens: Vec<u32> = (0..count).map(|i| (i * i % vocab) as u32).collect();
                let (tokens, grad_x) = (on.holding(&tokens), on.holding(&normal(1, count * width)));
                let mut grad_table = on.holding(&normal(2, vocab * width));
                on.embedding_backward(&tokens, count, &grad_x, width, &mut grad_table);
                vec![on.taken(&grad_table, vocab * width).await]
            });
        }
    }
}
