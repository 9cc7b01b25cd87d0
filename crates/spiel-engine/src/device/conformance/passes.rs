//! Element-wise operations, norms and the loss.

use super::{Bound, Subject, normal, words_of};
use crate::device::{BlockOps, Gated, GpuDevice, NormBackward};
use spiel_kernels::element::Element;
use spiel_kernels::ops::cross_entropy::Backward;
use spiel_kernels::ops::glu::Activation;
use spiel_kernels::ops::rms_norm::Norm;
use spiel_kernels::ops::rope::{Direction, frequencies, rotations};
use spiel_kernels::ops::transpose;

cases! {
    rms_norm,
    rms_norm_backward,
    rope,
    glu_and_its_backward,
    add_and_bias,
    scale,
    transpose,
    soft_cap,
    cross_entropy,
}

async fn rms_norm(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for (rows, width, unit_offset) in [
            (0, 8, false),
            (1, 1, false),
            (3, 7, true),
            (5, 64, false),
            (2, 257, true),
            (67, 1000, false),
        ] {
            let norm = Norm { epsilon: 1e-5, unit_offset };
            conform!(gpu, format!("{norm:?} {rows}x{width}"), [Bound::Within(1e-5)], |on| {
                let (x, weight) =
                    (on.holding(&normal(1, rows * width)), on.holding(&normal(2, width)));
                let mut y = on.output(rows * width);
                on.rms_norm(&x, &weight, rows, width, norm, &mut y);
                vec![on.taken(&y, rows * width).await]
            });
        }
    }
}

async fn rms_norm_backward(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for (rows, width) in [(1, 1), (3, 7), (5, 64), (2, 257), (67, 1000)] {
            for (accumulate, unit_offset) in [(false, false), (true, false), (true, true)] {
                let norm = Norm { epsilon: 1e-5, unit_offset };
                let case = format!("rms_norm_backward {norm:?} {rows}x{width} {accumulate}");
                conform!(gpu, case, [Bound::Within(2e-5); 2], |on| {
                    let [x, grad_y] = [1, 3].map(|seed| on.holding(&normal(seed, rows * width)));
                    let weight = on.holding(&normal(2, width));
                    let mut grad_x = on.holding(&normal(4, rows * width));
                    let mut grad_weight = on.holding(&normal(5, width));
                    let operands = NormBackward { x: &x, weight: &weight, grad_y: &grad_y };
                    on.rms_norm_backward(
                        operands,
                        rows,
                        width,
                        norm,
                        accumulate,
                        &mut grad_x,
                        Some(&mut grad_weight),
                    );
                    vec![on.taken(&grad_x, rows * width).await, on.taken(&grad_weight, width).await]
                });
            }
        }
    }
}

async fn rope(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for (tokens, heads, head_dim) in [(1, 1, 2), (7, 3, 6), (33, 5, 64), (130, 3, 64)] {
            for direction in [Direction::Forward, Direction::Backward] {
                let case = format!("rope {tokens}x{heads}x{head_dim} {direction:?}");
                let count = tokens * heads * head_dim;
                conform!(gpu, case, [Bound::Within(1e-6)], |on| {
                    let positions: Vec<u32> = (0..tokens as u32).collect();
                    let frequencies: Vec<f32> =
                        frequencies(head_dim, 10_000.0).map(|frequency| frequency as f32).collect();
                    let table = rotations(&positions, &frequencies);
                    let table = on.holding(bytemuck::cast_slice(&table));
                    let mut x = on.holding(&normal(1, count));
                    on.rope(&mut x, &table, tokens, heads, head_dim, direction);
                    vec![on.taken(&x, count).await]
                });
            }
        }
    }
}

async fn glu_and_its_backward(gpus: &[GpuDevice]) {
    for (gpu, activation) in gpus.iter().flat_map(|gpu| Activation::ALL.map(|each| (gpu, each))) {
        for count in [1, 63, 256, 40_009] {
            conform!(gpu, format!("{activation:?} {count}"), [Bound::Within(1e-5); 3], |on| {
                let [gate, up, grad] = [1, 2, 3].map(|seed| on.holding(&normal(seed, count)));
                let [mut out, mut grad_gate, mut grad_up] = [(); 3].map(|()| on.output(count));
                let gated = Gated { gate: &gate, up: &up, element: Element::F32 };
                on.glu(activation, gated, count, &mut out);
                let [of_gate, of_up] = [&mut grad_gate, &mut grad_up];
                on.glu_backward(activation, gated, &grad, count, of_gate, of_up);
                on.all_taken(&[out, grad_gate, grad_up], count).await
            });
        }
    }
}

async fn soft_cap(gpus: &[GpuDevice]) {
    for gpu in gpus {
        // Small shares, where a difference would cancel, and large ones.
        for (count, cap) in [(1, 30.0), (1000, 3.0), (40_009, 0.02)] {
            conform!(gpu, format!("soft_cap {count} {cap}"), [Bound::Within(2e-6)], |on| {
                let mut x = on.holding(&normal(1, count));
                on.soft_cap(cap, count, &mut x);
                vec![on.taken(&x, count).await]
            });
        }
    }
}

async fn add_and_bias(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for (tokens, width) in [(1, 1), (7, 3), (31, 257), (37, 1024)] {
            let count = tokens * width;
            let bounds = [Bound::Exact, Bound::Exact, Bound::Within(1e-5)];
            conform!(gpu, format!("add and bias {tokens}x{width}"), bounds, |on| {
                let x = on.holding(&normal(1, count));
                let [mut y, mut z] = [2, 3].map(|seed| on.holding(&normal(seed, count)));
                on.add(&x, count, &mut y);
                let mut bias = on.holding(&normal(4, width));
                on.add_bias(&bias, tokens, width, &mut z);
                let biased = on.taken(&z, count).await;
                on.add_bias_backward(&x, tokens, width, &mut bias);
                vec![on.taken(&y, count).await, biased, on.taken(&bias, width).await]
            });
        }
    }
}

async fn scale(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for count in [1, 257, 40_009] {
            conform!(gpu, format!("scale {count}"), [Bound::Exact], |on| {
                let mut x = on.holding(&normal(1, count));
                on.scale(0.22, count, &mut x);
                vec![on.taken(&x, count).await]
            });
        }
    }
}

async fn transpose(gpus: &[GpuDevice]) {
    let sizes = [(1, 1), (1, 37), (16, 16), (17, 31), (131, 67), (300, 140)];
    // More workgroups than a launch has along one side, for the GPU that binds so much.
    let folded = [(4100, 4100)];
    for (gpu, large) in gpus.iter().zip([&folded[..], &[]]) {
        for (rows, columns) in sizes.iter().chain(large).copied() {
            let x = normal(1, rows * columns);
            let mut expected = vec![0.0; rows * columns];
            transpose::transpose(bytemuck::cast_slice(&x), rows, columns, &mut expected);
            let mut out = gpu.output(rows * columns);
            gpu.transpose(&gpu.holding(&x), rows, columns, &mut out);
            let out = gpu.taken(&out, rows * columns).await;
            assert!(out == words_of(&expected), "transpose {rows}x{columns}");
        }
    }
}

async fn cross_entropy(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for (first, count, vocab) in
            [(0, 1, 1), (0, 3, 7), (2, 5, 300), (1, 9, 1021), (3, 20, 1024)]
        {
            let backward = |soft_cap| Some(Backward { scale: 0.25, soft_cap });
            for backward in [None, backward(None), backward(Some(4.0))] {
                let case = format!("cross_entropy {first}+{count}x{vocab} {backward:?}");
                conform!(gpu, case, [Bound::Within(1e-5), Bound::Within(1e-5)], |on| {
                    let total = first + count + 1;
                    let targets: Vec<u32> = (0..total).map(|i| (i * 5 % vocab) as u32).collect();
                    let targets = on.holding(&targets);
                    let mut logits = on.holding(&normal(1, count * vocab));
                    let mut losses = on.holding(&normal(2, total));
                    on.cross_entropy(
                        &mut logits,
                        &targets,
                        first,
                        count,
                        vocab,
                        backward,
                        &mut losses,
                    );
                    let losses = on.taken(&losses, total).await;
                    // Without a backward pass the logits are used up in whatever way.
                    let logits = on.taken(&logits, count * vocab).await;
                    vec![losses, if backward.is_some() { logits } else { Vec::new() }]
                });
            }
        }
    }
}
