//! Weights in every stored format: embedding and materialisation with deltas.

use super::{Bound, Subject, conform, normal};
use crate::device::{BlockOps, GpuDevice};
use spiel_kernels::formats::{Format, encode};
use spiel_kernels::random::positions;

/// Random weights in their stored form, as words.
fn stored(format: Format, elements: usize) -> Vec<u32> {
    let values: Vec<f32> = bytemuck::cast_slice(&normal(1, elements)).to_vec();
    let bytes = format.bytes(elements);
    let mut stored = vec![0; bytes.next_multiple_of(4)];
    encode(format, &values, &mut stored[..bytes]);
    bytemuck::pod_collect_to_vec(&stored)
}

pub(super) async fn materialise(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for format in Format::ALL {
            let block = format.block_elements();
            for (rows, blocks) in [(1, 1), (3, 5), (131, 7), (67, 21)] {
                let (width, elements) = (blocks * block, rows * blocks * block);
                for count in [None, Some(0), Some(1), Some(elements / 3)] {
                    let case = format!("materialise {format:?} {rows}x{width} {count:?}");
                    conform!(gpu, case, [Bound::Exact], |on| {
                        let stored = on.holding(&stored(format, elements));
                        let deltas = count.map(|count| {
                            let indices = positions(3, 0, count, elements as u32);
                            (on.holding(&indices), on.holding(&normal(4, count)))
                        });
                        let deltas =
                            deltas.as_ref().map(|(indices, values)| (indices, values, width));
                        let mut weights = on.output(elements);
                        on.materialise(&stored, format, elements, deltas, &mut weights);
                        vec![on.taken(&weights, elements).await]
                    });
                }
            }
        }
    }
}

pub(super) async fn embedding(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for format in Format::ALL {
            let block = format.block_elements();
            for (vocab, blocks, count) in [(1, 1, 1), (7, 3, 5), (101, 8, 33)] {
                let width = blocks * block;
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

pub(super) async fn embedding_backward(gpus: &[GpuDevice]) {
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
