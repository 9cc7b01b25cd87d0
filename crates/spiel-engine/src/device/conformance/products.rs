//! Dense products in their three orientations.

use super::{Bound, Subject, normal};
use crate::device::{BlockOps, GpuDevice};
use spiel_kernels::ops::linear::{LinearShape, Tiling};

cases! {
    linear,
    linear_backward,
    large_tiles,
}

/// T, in_features, out_features: one, primes, multiples of a tile, and one off them.
pub(super) const SHAPES: [[usize; 3]; 10] = [
    [1, 1, 1],
    [1, 5, 300],
    [2, 3, 7],
    [13, 17, 19],
    [64, 64, 64],
    [63, 65, 66],
    [128, 32, 192],
    [129, 131, 127],
    [5, 257, 64],
    [36, 40, 100],
];
/// Sums in another order than the CPU's, up to 257 terms of size one.
pub(super) const SUMS: Bound = Bound::Within(1e-5);

/// Every GPU with every tiling.
pub(super) fn tilings(gpus: &[GpuDevice]) -> impl Iterator<Item = (&GpuDevice, Tiling)> {
    let all = [Tiling::Shared, Tiling::Registers];
    gpus.iter().flat_map(move |gpu| all.map(|tiling| (gpu, tiling)))
}

pub(super) async fn linear(gpus: &[GpuDevice]) {
    for (gpu, tiling) in tilings(gpus) {
        gpu.tile_by(tiling);
        for [tokens, inputs, outputs] in SHAPES {
            conform!(gpu, format!("linear {tokens}x{inputs}x{outputs} {tiling:?}"), [SUMS], |on| {
                let x = on.holding(&normal(1, tokens * inputs));
                let weight = on.holding(&normal(2, outputs * inputs));
                let mut y = on.output(tokens * outputs);
                on.linear(&x, &weight, LinearShape { tokens, inputs, outputs }, &mut y);
                vec![on.taken(&y, tokens * outputs).await]
            });
        }
    }
}

pub(super) async fn linear_backward(gpus: &[GpuDevice]) {
    for (gpu, tiling) in tilings(gpus) {
        gpu.tile_by(tiling);
        for [tokens, inputs, outputs] in SHAPES {
            for accumulate in [false, true] {
                let case =
                    format!("linear_backward {tokens}x{inputs}x{outputs} {accumulate} {tiling:?}");
                let shape = LinearShape { tokens, inputs, outputs };
                conform!(gpu, case, [SUMS; 2], |on| {
                    let x = on.holding(&normal(1, tokens * inputs));
                    let weight = on.holding(&normal(2, outputs * inputs));
                    let grad_y = on.holding(&normal(3, tokens * outputs));
                    let mut grad_x = on.holding(&normal(4, tokens * inputs));
                    let mut grad_weight = on.holding(&normal(5, outputs * inputs));
                    on.linear_backward_input(&grad_y, &weight, shape, accumulate, &mut grad_x);
                    on.linear_backward_weight(&grad_y, &x, shape, accumulate, &mut grad_weight);
                    let weights = on.taken(&grad_weight, outputs * inputs).await;
                    vec![on.taken(&grad_x, tokens * inputs).await, weights]
                });
            }
        }
    }
}

async fn large_tiles(gpus: &[GpuDevice]) {
    for (gpu, tiling) in tilings(gpus).take(2) {
        gpu.tile_by(tiling);
        // Less than one stage of the inner dimension, whole ones, and a ragged one behind whole ones.
        for inputs in [5, 32, 37] {
            let shape = LinearShape { tokens: 1411, inputs, outputs: 1500 };
            conform!(gpu, format!("large tiles {shape:?} {tiling:?}"), [SUMS], |on| {
                let LinearShape { tokens, inputs, outputs } = shape;
                let x = on.holding(&normal(1, tokens * inputs));
                let weight = on.holding(&normal(2, outputs * inputs));
                let mut y = on.output(tokens * outputs);
                on.linear(&x, &weight, shape, &mut y);
                vec![on.taken(&y, tokens * outputs).await]
            });
        }
        let shape = LinearShape { tokens: 40, inputs: 1411, outputs: 1500 };
        conform!(gpu, format!("large tiles, backward, {shape:?} {tiling:?}"), [SUMS; 2], |on| {
            let LinearShape { tokens, inputs, outputs } = shape;
            let x = on.holding(&normal(1, tokens * inputs));
            let grad_y = on.holding(&normal(3, tokens * outputs));
            let mut grad_weight = on.holding(&normal(5, outputs * inputs));
            on.linear_backward_weight(&grad_y, &x, shape, true, &mut grad_weight);
            let wide = LinearShape { tokens: outputs, inputs, outputs: tokens };
            let [grad_y, weight] = [(6, outputs), (7, inputs)]
                .map(|(seed, width)| on.holding(&normal(seed, tokens * width)));
            let mut grad_x = on.holding(&normal(8, outputs * inputs));
            on.linear_backward_input(&grad_y, &weight, wide, true, &mut grad_x);
            on.all_taken(&[grad_weight, grad_x], outputs * inputs).await
        });
    }
}
