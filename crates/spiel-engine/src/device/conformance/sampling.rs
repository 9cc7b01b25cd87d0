//! Drawn positions, sampled gradients and candidates.

use super::{Bound, Subject, normal, words_of};
use crate::device::{CandidateState, GpuDevice, LinearShape, TrainingOps};
use spiel_kernels::ops::linear::Tiling;
use spiel_kernels::random::positions;

cases! {
    drawn_positions_are_those_of_the_cpu,
    sampled_gradient,
    both_ways_give_the_same_bits,
    a_trial_changes_no_gradient,
    chosen_candidates_are_exactly_the_largest,
}

/// Sums over tokens in another order than the CPU's.
const SUMS: Bound = Bound::Within(2e-5);

async fn drawn_positions_are_those_of_the_cpu(gpus: &[GpuDevice]) {
    // One bit, odd and even numbers of bits, whole words and their neighbours, more words than a short binding.
    let sizes = [
        (0, 1),
        (1, 1),
        (5, 5),
        (100, 101),
        (31, 32),
        (1000, 65_537),
        (4097, 8192 * 7 + 1),
        (9000, 3_000_000),
    ];
    for gpu in gpus {
        for (count, total) in sizes {
            for (seed, stream) in [(0, 0), (7, 3), (u32::MAX, 0x8000_0001)] {
                let case = format!("{count} positions of {total} from {seed}, {stream}");
                conform!(gpu, case, [Bound::Exact], |on| {
                    let mut positions = on.output(count);
                    on.draw_positions(seed, stream, total, &mut positions);
                    vec![on.taken(&positions, count).await]
                });
            }
        }
    }
}

async fn sampled_gradient(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for (tokens, inputs, outputs, count) in [
            (1, 1, 1, 1),
            (1, 3, 2, 0),
            (3, 7, 5, 30),
            (33, 64, 65, 999),
            (130, 70, 90, 2000),
            (129, 131, 150, 4001),
        ] {
            let shape = LinearShape { tokens, inputs, outputs };
            for (tiling, dense) in
                [(Tiling::Shared, false), (Tiling::Registers, false), (Tiling::Registers, true)]
            {
                gpu.tile_by(tiling);
                gpu.gather_from_dense(shape, count, dense);
                let case =
                    format!("sampled_gradient {shape:?} at {count}, {tiling:?}, dense: {dense}");
                conform!(gpu, case, [SUMS; 3], |on| {
                    let indices = positions(1, 0, count, (inputs * outputs) as u32);
                    let indices = on.holding(&indices);
                    let x_t = on.holding(&normal(2, inputs * tokens));
                    let grad_y_t = on.holding(&normal(3, outputs * tokens));
                    let mut grads = on.holding(&normal(4, count));
                    on.sampled_gradient(&indices, &x_t, &grad_y_t, shape, &mut grads);
                    let mut candidates = CandidateState {
                        indices,
                        grads: on.holding(&normal(5, count)),
                        grads_sq: on.holding(&normal(6, count)),
                    };
                    let mut scratch = on.output(count);
                    on.accumulate_candidates(&x_t, &grad_y_t, shape, &mut candidates, &mut scratch);
                    let CandidateState { grads: sums, grads_sq: squares, .. } = candidates;
                    on.all_taken(&[grads, sums, squares], count).await
                });
            }
        }
    }
}

async fn both_ways_give_the_same_bits(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for tiling in [Tiling::Shared, Tiling::Registers] {
            gpu.tile_by(tiling);
            for (tokens, inputs, outputs, count) in
                [(1, 5, 3, 9), (33, 64, 65, 999), (130, 70, 90, 2000), (250, 300, 260, 4001)]
            {
                let shape = LinearShape { tokens, inputs, outputs };
                let indices = gpu.holding(&positions(1, 0, count, (inputs * outputs) as u32));
                let x_t = gpu.holding(&normal(2, inputs * tokens));
                let grad_y_t = gpu.holding(&normal(3, outputs * tokens));
                let mut both = Vec::new();
                for dense in [false, true] {
                    gpu.gather_from_dense(shape, count, dense);
                    let mut grads = gpu.holding(&normal(4, count));
                    gpu.sampled_gradient(&indices, &x_t, &grad_y_t, shape, &mut grads);
                    both.push(gpu.taken(&grads, count).await);
                }
                assert!(both[0] == both[1], "{shape:?} at {count}, {tiling:?}");
            }
        }
    }
}

async fn a_trial_changes_no_gradient(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for (tokens, inputs, outputs, count) in [(70, 90, 110, 8), (70, 90, 110, 9900)] {
            let shape = LinearShape { tokens, inputs, outputs };
            let indices = gpu.holding(&positions(1, 0, count, (inputs * outputs) as u32));
            let mut grads = gpu.output(count);
            let [mut x_t, mut grad_y_t] =
                [inputs * tokens, outputs * tokens].map(|words| gpu.output(words));
            let trial = gpu.try_gradients(&indices, &mut x_t, &mut grad_y_t, shape, &mut grads);
            let trial = trial.await.expect("a trial").expect("two ways");
            assert!(trial.sampled_seconds > 0.0 && trial.dense_seconds > 0.0);
            assert_eq!(trial.dense, trial.dense_seconds < trial.sampled_seconds, "other bits");
            let tried = gpu.taken(&grads, count).await;
            assert!(tried.iter().any(|word| *word != tried[0]), "what is compared is all the same");
            let mut after = gpu.holding(&vec![0; count]);
            gpu.sampled_gradient(&indices, &x_t, &grad_y_t, shape, &mut after);
            assert!(gpu.taken(&after, count).await == tried);
        }
    }
}

/// The gradients that candidates are chosen from: random, with many ties, and all the same.
fn gradients(elements: usize) -> [Vec<u32>; 3] {
    let random: Vec<f32> = bytemuck::cast_slice(&normal(1, elements)).to_vec();
    let tied: Vec<f32> = random.iter().map(|x| (x * 4.0).round() / 4.0).collect();
    [words_of(&random), words_of(&tied), words_of(&vec![-1.5; elements])]
}

async fn chosen_candidates_are_exactly_the_largest(gpus: &[GpuDevice]) {
    let sizes =
        [(1, 1), (7, 0), (7, 3), (7, 7), (256, 31), (4097, 4096), (10_007, 1), (70_001, 5003)];
    for gpu in gpus {
        for (elements, count) in sizes {
            for (kind, gradient) in gradients(elements).iter().enumerate() {
                let case = format!("{count} largest of {elements}, kind {kind}");
                // Equal, but a zero's sign may be lost.
                let bounds = [Bound::Exact, Bound::Within(0.0), Bound::Within(1e-6)];
                conform!(gpu, case, bounds, |on| {
                    let gradient = on.holding(gradient);
                    let [indices, grads, grads_sq] = [(); 3].map(|()| on.output(count));
                    let mut candidates = CandidateState { indices, grads, grads_sq };
                    on.choose_candidates(&gradient, elements, &mut candidates);
                    let CandidateState { indices, grads, grads_sq } = candidates;
                    on.all_taken(&[indices, grads, grads_sq], count).await
                });
            }
        }
    }
}
