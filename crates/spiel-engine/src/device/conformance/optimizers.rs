//! Optimiser steps and the gradient's norm.

use super::{Bound, Subject, normal, words_of};
use crate::device::{AdamWState, GpuDevice, Sm3State, TrainingOps};
use spiel_kernels::ops::adamw::AdamW;
use spiel_kernels::ops::clip::{Clip, from_parts, to_parts};
use spiel_kernels::ops::sm3::Sm3;
use spiel_kernels::random::positions;

cases! {
    adamw_on_tensors_and_deltas,
    sm3,
    adding_losses,
    clipping_by_the_norm_of_all_gradients,
    gradients_that_are_not_finite,
    norms_are_finite_wherever_they_are_floats,
}

const ADAMW: AdamW =
    AdamW { learning_rate: 0.01, weight_decay: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/// Halves the gradients of an update, or has it skipped.
fn clip(failed_step: u32) -> [u32; Clip::WORDS] {
    Clip { norm: 2.0, loss: 1.0, factor: 0.5, failed_step }.to_words()
}

/// Positive floats.
fn positive(seed: u32, count: usize) -> Vec<u32> {
    normal(seed, count).into_iter().map(|word| word & 0x7FFF_FFFF).collect()
}

async fn adamw_on_tensors_and_deltas(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for (count, failed_step) in [(0, 0), (1, 0), (257, 0), (257, 3), (5003, 0)] {
            let case = format!("adamw {count} {failed_step}");
            conform!(gpu, case, [Bound::Within(1e-5); 7], |on| {
                let clip = on.holding(&clip(failed_step));
                let grads = on.holding(&normal(1, count));
                let start = || (on.holding(&normal(2, count)), on.holding(&normal(3, count)));
                let ((mut values, mut exp_avg), mut exp_avg_sq) =
                    (start(), on.holding(&positive(4, count)));
                on.adamw(&ADAMW, 7, &clip, &mut values, &grads, &mut exp_avg, &mut exp_avg_sq);
                let ages: Vec<f32> = (0..count).map(|i| (1 + i * i % 3000) as f32).collect();
                let (mut deltas, moments) = start();
                let mut state = AdamWState {
                    ages: on.holding(&words_of(&ages)),
                    exp_avg: moments,
                    exp_avg_sq: on.holding(&positive(4, count)),
                };
                on.adamw_deltas(&ADAMW, &clip, &mut deltas, &grads, &mut state);
                let AdamWState { ages, exp_avg: first, exp_avg_sq: second } = state;
                let outputs = [values, exp_avg, exp_avg_sq, deltas, ages, first, second];
                on.all_taken(&outputs, count).await
            });
        }
    }
}

async fn sm3(gpus: &[GpuDevice]) {
    let update = Sm3 { learning_rate: 0.01, weight_decay: 0.1, epsilon: 1e-6 };
    for gpu in gpus {
        let sizes = [(1, 1, 0, 0), (1, 1, 1, 0), (7, 5, 20, 0), (7, 5, 20, 1), (130, 70, 3001, 0)];
        for (rows, columns, count, failed_step) in sizes {
            conform!(
                gpu,
                format!("sm3 {rows}x{columns} {count} {failed_step}"),
                [Bound::Within(1e-5); 3],
                |on| {
                    let clip = on.holding(&clip(failed_step));
                    let indices = on.holding(&positions(1, 0, count, (rows * columns) as u32));
                    let grads = on.holding(&normal(2, count));
                    let (mut values, mut scratch) =
                        (on.holding(&normal(3, count)), on.output(count));
                    let mut state = Sm3State {
                        rows: on.holding(&positive(4, rows)),
                        columns: on.holding(&positive(5, columns)),
                    };
                    on.sm3(&update, &clip, &indices, &mut values, &grads, &mut state, &mut scratch);
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

async fn clipping_by_the_norm_of_all_gradients(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for counts in [&[][..], &[0], &[1], &[3, 0, 4096, 1], &[4097, 20_011]] {
            for max_norm in [0.0, 0.5, 1e9] {
                let case = format!("clip {counts:?} at {max_norm}");
                conform!(gpu, case, [Bound::Within(1e-6), Bound::Exact], |on| {
                    let buffers: Vec<_> =
                        counts.iter().map(|count| on.holding(&normal(1, *count))).collect();
                    let all: Vec<_> = buffers.iter().collect();
                    let mut clip = on.holding(&Clip::default().to_words());
                    let loss = on.holding(&to_parts(2.5));
                    on.clip(&all, &loss, max_norm, 5, &mut clip);
                    let Clip { norm, loss, factor, failed_step } = taken(on, &clip).await;
                    vec![words_of(&[norm as f32, loss as f32, factor]), vec![failed_step]]
                });
            }
        }
    }
}

async fn gradients_that_are_not_finite(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let grads = gpu.holding(&words_of(&[1.0, bad, 2.0]));
            let (finite, loss) = (gpu.holding(&words_of(&[1.0, 2.0])), gpu.holding(&to_parts(1.0)));
            let mut clip = gpu.holding(&Clip::default().to_words());
            for (step, grads) in [(6, &finite), (7, &grads), (8, &finite), (9, &grads)] {
                gpu.clip(&[grads], &loss, 1.0, step, &mut clip);
            }
            assert_eq!(taken(gpu, &clip).await.failed_step, 7, "{bad}");
        }
        let (finite, loss) = (gpu.holding(&words_of(&[1.0])), gpu.holding(&to_parts(f64::NAN)));
        let mut clip = gpu.holding(&Clip::default().to_words());
        gpu.clip(&[&finite], &loss, 1.0, 3, &mut clip);
        assert_eq!(taken(gpu, &clip).await.failed_step, 3);
    }
}

async fn norms_are_finite_wherever_they_are_floats(gpus: &[GpuDevice]) {
    for gpu in gpus {
        // Squares of these are no floats; a vast tensor may stand beside a tiny one.
        for factors in [[1e-30, 1e-30], [1e-37, 1e-36], [1e30, 1e35], [1e-30, 1e35], [1.0, 1e-25]] {
            let grads = factors.map(|factor: f32| -> Vec<f32> {
                let normal: Vec<f32> = bytemuck::cast_slice(&normal(1, 5000)).to_vec();
                normal.into_iter().map(|x| x * factor).collect()
            });
            let squares = grads.iter().flatten().map(|x| f64::from(*x) * f64::from(*x));
            let expected = squares.sum::<f64>().sqrt();
            let buffers = grads.map(|grads| gpu.holding(&words_of(&grads)));
            let loss = gpu.holding(&to_parts(1.0));
            let mut clip = gpu.holding(&Clip::default().to_words());
            gpu.clip(&[&buffers[0], &buffers[1]], &loss, 1.0, 3, &mut clip);
            let Clip { norm, failed_step, .. } = taken(gpu, &clip).await;
            assert!((norm / expected - 1.0).abs() < 1e-5, "{factors:?}: {norm}, not {expected}");
            assert_eq!(failed_step, 0, "{factors:?}");
        }
    }
}

async fn adding_losses(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for count in [1, 255, 4096, 20_011] {
            // Two micro-batches of a step.
            conform!(gpu, format!("add_losses {count}"), [Bound::Within(1e-6)], |on| {
                let positive =
                    normal(1, count).iter().map(|word| word & 0x7FFF_FFFF).collect::<Vec<_>>();
                let losses = on.holding(&positive);
                let mut loss = on.holding(&[0; 2]);
                on.add_losses(&losses, count, 0.25 / count as f64, &mut loss);
                on.add_losses(&losses, count, 0.5 / count as f64, &mut loss);
                let [high, low] = on.taken(&loss, 2).await[..] else { panic!("two words") };
                vec![words_of(&[from_parts([high, low]) as f32])]
            });
        }
    }
}

async fn taken<D: Subject>(on: &D, clip: &D::Buffer) -> Clip {
    let words = on.taken(clip, Clip::WORDS).await;
    Clip::from_words(words.try_into().expect("as many words"))
}
