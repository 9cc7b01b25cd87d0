//! Dropping and growing, exactly as the CPU does it, for random sizes and with many ties.

use super::{Bound, Subject, normal, words_of};
use crate::device::{AdamWState, CandidateState, GpuDevice, Growth, Sm3State, TrainingOps};
use spiel_kernels::ops::adamw::Seed;
use spiel_kernels::ops::linear::LinearShape;
use spiel_kernels::random::{philox, positions};

cases! {
    by_accumulated_gradients,
    by_momentum,
}

/// Rows, columns, deltas and how many to replace.
#[derive(Debug, Clone, Copy)]
struct Size {
    rows: usize,
    columns: usize,
    slots: usize,
    count: usize,
}

/// Sizes at the edges, and some drawn at random: crowded matrices run short of candidates.
fn sizes() -> Vec<Size> {
    let size = |(rows, columns, slots, count)| Size { rows, columns, slots, count };
    let edges = [
        (1, 1, 1, 0),
        (1, 2, 1, 1),
        (3, 5, 7, 7),
        (2, 8, 15, 1),
        (40, 50, 999, 999),
        (200, 150, 2000, 700),
    ];
    let drawn = (0..12).map(|number| {
        let [a, b, c, d] = philox([number, 5], [0; 4]).map(|word| word as usize);
        let (rows, columns) = (1 + a % 60, 1 + b % 60);
        let slots = 1 + c % (rows * columns).div_ceil(2);
        (rows, columns, slots, d % (slots + 1))
    });
    edges.into_iter().chain(drawn).map(size).collect()
}

/// Floats with few different magnitudes, so that most keys tie.
fn tied(seed: u32, count: usize) -> Vec<u32> {
    let values = normal(seed, count);
    let rounded: Vec<f32> =
        values.iter().map(|word| (f32::from_bits(*word) * 2.0).round() / 2.0).collect();
    words_of(&rounded)
}

async fn by_accumulated_gradients(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for size in sizes() {
            for values in [normal, tied] {
                let Size { rows, columns, slots, count } = size;
                // Ages and positions are exact; a seeded moment is one rounded product.
                let bounds = [[Bound::Exact; 2], [Bound::Exact; 2], [Bound::Within(1e-6); 2]];
                let bounds = bounds.concat();
                conform!(gpu, format!("reselection by gradients {size:?}"), bounds, |on| {
                    let positions = |seed| positions(seed, 0, slots, (rows * columns) as u32);
                    let mut indices = on.holding(&positions(1));
                    let mut deltas = on.holding(&values(2, slots));
                    let candidates = CandidateState {
                        indices: on.holding(&positions(3)),
                        grads: on.holding(&values(4, slots)),
                        grads_sq: on.holding(&normal(5, slots)),
                    };
                    let mut state = AdamWState {
                        ages: on.holding(&normal(6, slots)),
                        exp_avg: on.holding(&normal(7, slots)),
                        exp_avg_sq: on.holding(&normal(8, slots)),
                    };
                    let growth = Growth::AccumulatedGradients {
                        candidates: &candidates,
                        state: &mut state,
                        seed: Seed::new(40, 2, 0.9, 0.999),
                    };
                    let mut replaced = on.holding(&[0; 4]);
                    on.reselect(&mut indices, &mut deltas, growth, count, &mut replaced, 2);
                    let replaced = on.taken(&replaced, 4).await[3];
                    let AdamWState { ages, exp_avg, exp_avg_sq } = state;
                    let arrays = [indices, deltas, ages, exp_avg, exp_avg_sq];
                    let mut outputs = vec![vec![replaced]];
                    outputs.extend(on.all_taken(&arrays, slots).await);
                    outputs
                });
            }
        }
    }
}

async fn by_momentum(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for size in sizes() {
            for values in [normal, tied] {
                let Size { rows, columns, slots, count } = size;
                // As many positions must be free as are to be grown.
                let count = count.min(rows * columns - slots);
                conform!(
                    gpu,
                    format!("reselection by momentum {size:?}"),
                    [Bound::Exact; 3],
                    |on| {
                        let indices = positions(1, 0, slots, (rows * columns) as u32);
                        let mut indices = on.holding(&indices);
                        let mut deltas = on.holding(&values(2, slots));
                        let state = Sm3State {
                            rows: on.holding(&values(3, rows)),
                            columns: on.holding(&values(4, columns)),
                        };
                        let mut scratch = on.output(rows * columns);
                        let growth = Growth::MomentumApproximation {
                            state: &state,
                            shape: LinearShape { tokens: 0, inputs: columns, outputs: rows },
                            scratch: &mut scratch,
                        };
                        let mut replaced = on.holding(&[0; 4]);
                        on.reselect(&mut indices, &mut deltas, growth, count, &mut replaced, 2);
                        let replaced = on.taken(&replaced, 4).await[3];
                        vec![
                            vec![replaced],
                            on.taken(&indices, slots).await,
                            on.taken(&deltas, slots).await,
                        ]
                    }
                );
            }
        }
    }
}
