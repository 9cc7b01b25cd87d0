//! Drawn positions, sampled gradients and candidates.

use super::{Bound, SHORT_BINDING, Subject, normal, words_of};
use crate::device::{
    CandidateState, GpuDevice, Memory, ModuleSize, SampledLayer, SamplingScratch, TrainingOps,
};
use spiel_kernels::ops::linear::{LinearShape, Tiling};
use spiel_kernels::random::positions;

cases! {
    drawn_positions_are_those_of_the_cpu,
    sampled_gradient,
    both_ways_give_the_same_bits,
    a_trial_changes_no_gradient,
    a_trial_holds_for_every_number_of_tokens,
    chosen_candidates_are_exactly_the_largest,
}

/// The GPUs that can bind the arrays of so many deltas: those with all that they offer, and the smaller one if they are
/// few.
fn that_bind(gpus: &[GpuDevice], count: usize) -> &[GpuDevice] {
    if count * 4 <= SHORT_BINDING { gpus } else { &gpus[..gpus.len().min(1)] }
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

/// Scratch for the gradients of one layer, that none can count on.
fn scratch_for<D: Subject>(
    on: &D,
    LinearShape { tokens, inputs, outputs }: LinearShape,
    deltas: usize,
) -> SamplingScratch<D::Buffer> {
    let layer = ModuleSize { deltas, inputs, outputs };
    let SamplingScratch { x_t, grad_y_t, samples } = on.sampling_words(tokens, &[layer], true);
    let [x_t, grad_y_t, samples] = [x_t, grad_y_t, samples].map(|words| on.output(words));
    SamplingScratch { x_t, grad_y_t, samples }
}

pub(super) async fn sampled_gradient(gpus: &[GpuDevice]) {
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
                    let [indices, others] =
                        [0, 1].map(|stream| positions(1, stream, count, (inputs * outputs) as u32));
                    let indices = on.holding(&indices);
                    let (x, grad_y) = (normal(2, tokens * inputs), normal(3, tokens * outputs));
                    let mut grads = on.holding(&normal(4, count));
                    let mut candidates = CandidateState {
                        indices: on.holding(&others),
                        grads: on.holding(&normal(5, count)),
                        grads_sq: on.holding(&normal(6, count)),
                    };
                    let layer = SampledLayer {
                        grad_y: &on.holding(&grad_y),
                        outputs,
                        indices: &indices,
                        grads: &mut grads,
                        candidates: Some(&mut candidates),
                    };
                    let mut scratch = scratch_for(on, shape, count);
                    let x = on.holding(&x);
                    on.sampled_gradients(&x, tokens, inputs, &mut [layer], &mut scratch);
                    let CandidateState { grads: sums, grads_sq: squares, .. } = candidates;
                    on.all_taken(&[grads, sums, squares], count).await
                });
            }
        }
    }
}

type Buffer = <GpuDevice as Memory>::Buffer;

/// What gradients are computed from.
pub(super) struct Operands {
    count: usize,
    indices: Buffer,
    x: Buffer,
    grad_y: Buffer,
}

impl Operands {
    pub(super) fn new(
        gpu: &GpuDevice,
        LinearShape { tokens, inputs, outputs }: LinearShape,
        count: usize,
    ) -> Self {
        Self {
            count,
            indices: gpu.holding(&positions(1, 0, count, (inputs * outputs) as u32)),
            x: gpu.holding(&normal(2, inputs * tokens)),
            grad_y: gpu.holding(&normal(3, outputs * tokens)),
        }
    }

    /// What is added to random numbers, in the way that is taken for the module.
    pub(super) async fn gradients(&self, gpu: &GpuDevice, shape: LinearShape) -> Vec<u32> {
        let mut grads = gpu.holding(&normal(4, self.count));
        let LinearShape { tokens, inputs, outputs } = shape;
        let layer = SampledLayer {
            grad_y: &self.grad_y,
            outputs,
            indices: &self.indices,
            grads: &mut grads,
            candidates: None,
        };
        let mut scratch = scratch_for(gpu, shape, self.count);
        gpu.sampled_gradients(&self.x, tokens, inputs, &mut [layer], &mut scratch);
        gpu.taken(&grads, self.count).await
    }

    /// The same in both ways, by samples first.
    pub(super) async fn in_both_ways(&self, gpu: &GpuDevice, shape: LinearShape) -> [Vec<u32>; 2] {
        let mut both: [Vec<u32>; 2] = Default::default();
        for (dense, grads) in [false, true].into_iter().zip(&mut both) {
            gpu.gather_from_dense(shape, self.count, dense);
            *grads = self.gradients(gpu, shape).await;
        }
        both
    }
}

async fn both_ways_give_the_same_bits(gpus: &[GpuDevice]) {
    for (tokens, inputs, outputs, count) in [
        (1, 5, 3, 9),
        (33, 64, 65, 999),
        (130, 70, 90, 2000),
        (250, 300, 260, 4001),
        // Rows that are read in fours.
        (64, 70, 90, 2000),
        (256, 65, 40, 999),
        // More deltas than a trial compares.
        (5, 300, 260, 70_000),
        // Enough tiles for large ones.
        (40, 1500, 1411, 20_000),
    ] {
        let shape = LinearShape { tokens, inputs, outputs };
        for gpu in that_bind(gpus, count) {
            let operands = Operands::new(gpu, shape, count);
            for tiling in [Tiling::Shared, Tiling::Registers] {
                gpu.tile_by(tiling);
                let [sampled, gathered] = operands.in_both_ways(gpu, shape).await;
                let place = sampled.iter().zip(&gathered).position(|(a, b)| a != b);
                assert_eq!(place, None, "{shape:?} at {count}, {tiling:?}");
            }
        }
    }
}

async fn a_trial_changes_no_gradient(gpus: &[GpuDevice]) {
    for (tokens, inputs, outputs, count) in
        [(70, 90, 110, 8), (70, 90, 110, 9900), (7, 300, 260, 70_000)]
    {
        let shape = LinearShape { tokens, inputs, outputs };
        for gpu in that_bind(gpus, count) {
            let indices = gpu.holding(&positions(1, 0, count, (inputs * outputs) as u32));
            let mut scratch = scratch_for(gpu, shape, count);
            let trial = gpu.try_gradients(&indices, shape, &mut scratch);
            let trial = trial.await.expect("a trial").expect("two ways");
            assert!(trial.sampled_seconds > 0.0 && trial.dense_seconds > 0.0);
            assert_eq!(trial.dense, trial.dense_seconds < trial.sampled_seconds, "other bits");
            // The last that were computed in the trial are dense; all deltas have them, not those alone that it compares.
            let tried = gpu.taken(&scratch.samples, count).await;
            assert!(tried.iter().any(|word| *word != tried[0]), "what is compared is all the same");
            gpu.gather_from_dense(shape, count, false);
            // It computed with what it left in the scratch.
            let [mut x, mut grad_y] = [inputs, outputs].map(|width| gpu.output(width * tokens));
            gpu.transpose(&scratch.x_t, inputs, tokens, &mut x);
            gpu.transpose(&scratch.grad_y_t, outputs, tokens, &mut grad_y);
            let mut after = gpu.holding(&vec![0; count]);
            let layer = SampledLayer {
                grad_y: &grad_y,
                outputs,
                indices: &indices,
                grads: &mut after,
                candidates: None,
            };
            gpu.sampled_gradients(&x, tokens, inputs, &mut [layer], &mut scratch);
            assert!(gpu.taken(&after, count).await == tried);
        }
    }
}

async fn a_trial_holds_for_every_number_of_tokens(gpus: &[GpuDevice]) {
    for gpu in gpus {
        let (inputs, outputs, count) = (90, 110, 5000);
        let of = |tokens| LinearShape { tokens, inputs, outputs };
        let tried = Operands::new(gpu, of(70), count);
        let mut scratch = scratch_for(gpu, of(70), count);
        let trial = gpu.try_gradients(&tried.indices, of(70), &mut scratch);
        trial.await.expect("a trial").expect("two ways");
        for tokens in [1, 33, 64, 69] {
            let operands = Operands::new(gpu, of(tokens), count);
            let chosen = operands.gradients(gpu, of(tokens)).await;
            let [sampled, gathered] = operands.in_both_ways(gpu, of(tokens)).await;
            assert!(chosen == sampled && chosen == gathered, "{tokens} tokens");
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
    // Within a run of 8,192, whole runs, and more than a short binding holds.
    let sizes = [
        (1, 1),
        (7, 0),
        (7, 3),
        (7, 7),
        (256, 31),
        (4097, 4096),
        (10_007, 1),
        (16_384, 8193),
        (70_001, 5003),
    ];
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
