//! Optimiser steps and the gradient's norm.

use super::{Bound, Subject, conform, normal, words_of};
use crate::device::{AdamWState, GpuDevice, Sm3State, TrainingOps};
use spiel_kernels::ops::adamw::AdamW;
use spiel_kernels::ops::sm3::Sm3;
use spiel_kernels::random::positions;

const ADAMW: AdamW = AdamW {
    learning_rate: 0.01,
    weight_decay: 0.1,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    grad_scale: 0.5,
};

/// Positive floats.
fn positive(seed: u32, count: usize) -> Vec<u32> {
    normal(seed, count).into_iter().map(|word| word & 0x7FFF_FFFF).collect()
}

pub(super) async fn adamw_on_tensors_and_deltas(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for count in [0, 1, 257, 5003] {
            conform!(gpu, format!("adamw {count}"), [Bound::Within(1e-5); 7], |on| {
                let grads = on.holding(&normal(1, count));
                let start = || (on.holding(&normal(2, count)), on.holding(&normal(3, count)));
                let ((mut values, mut exp_avg), mut exp_avg_sq) =
                    (start(), on.holding(&positive(4, count)));
                on.adamw(&ADAMW, 7, &mut values, &grads, &mut exp_avg, &mut exp_avg_sq);
                let ages: Vec<f32> = (0..count).map(|i| (1 + i * i % 3000) as f32).collect();
                let (mut deltas, moments) = start();
                let mut state = AdamWState {
                    ages: on.holding(&words_of(&ages)),
                    exp_avg: moments,
                    exp_avg_sq: on.holding(&positive(4, count)),
                };
                on.adamw_deltas(&ADAMW, &mut deltas, &grads, &mut state);
                let AdamWState { ages, exp_avg: first, exp_avg_sq: second } = state;
                let outputs = [values, exp_avg, exp_avg_sq, deltas, ages, first, second];
                on.all_taken(&outputs, count).await
            });
        }
    }
}

pub(super) async fn sm3(gpus: &[GpuDevice]) {
    let update = Sm3 { learning_rate: 0.01, weight_decay: 0.1, epsilon: 1e-6, grad_scale: 0.5 };
    for gpu in gpus {
        for (rows, columns, count) in [(1, 1, 0), (1, 1, 1), (7, 5, 20), (130, 70, 3001)] {
            conform!(
                gpu,
                format!("sm3 {rows}x{columns} {count}"),
                [Bound::Within(1e-5); 3],
                |on| {
                    let indices = on.holding(&positions(1, 0, count, (rows * columns) as u32));
                    let grads = on.holding(&normal(2, count));
                    let (mut values, mut scratch) =
                        (on.holding(&normal(3, count)), on.output(count));
                    let mut state = Sm3State {
                        rows: on.holding(&positive(4, rows)),
                        columns: on.holding(&positive(5, columns)),
                    };
                    on.sm3(&update, &indices, &mut values, &grads, &mut state, &mut scratch);
                    let Sm3State { rows: row_sums, columns: column_sums } = state;
                    let values = on.taken(&values, count).await;
                    vec![
                        values,
                        on.taken(&row_sums, rows).await,
                        on.taken(&column_sums, columns).await,
                    ]
                }
            );
        }
    }
}

pub(super) async fn sum_of_squares(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for counts in [&[][..], &[0], &[1], &[3, 0, 4096, 1], &[4097, 20_011]] {
            conform!(gpu, format!("sum_of_squares {counts:?}"), [Bound::Within(1e-6)], |on| {
                let buffers: Vec<_> =
                    counts.iter().map(|count| on.holding(&normal(1, *count))).collect();
                let all: Vec<_> = buffers.iter().collect();
                let sum = on.sum_of_squares(&all).await.expect("a sum");
                vec![words_of(&[sum as f32])]
            });
        }
    }
}
