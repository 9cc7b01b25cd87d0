//! Operations that are more work than one dispatch may be.

use super::sampling::Operands;
use super::{attention, products, sampling};
use crate::device::GpuDevice;
use spiel_kernels::ops::linear::{LinearShape, Tiling};

cases! {
    long_operations_are_cut,
    gradients_do_not_depend_on_cuts,
}

async fn long_operations_are_cut(gpus: &[GpuDevice]) {
    for gpu in gpus {
        gpu.limit_to(1_000_000, 500_000);
    }
    products::linear(gpus).await;
    products::linear_backward(gpus).await;
    attention::attention_and_its_backward(gpus).await;
    sampling::sampled_gradient(gpus).await;
}

async fn gradients_do_not_depend_on_cuts(gpus: &[GpuDevice]) {
    let (shape, count) = (LinearShape { tokens: 40, inputs: 70, outputs: 90 }, 2000);
    for gpu in gpus {
        let operands = Operands::new(gpu, shape, count);
        for tiling in [Tiling::Shared, Tiling::Registers] {
            gpu.tile_by(tiling);
            gpu.limit_bytes_to(1 << 30);
            let whole = operands.in_both_ways(gpu, shape).await;
            // A slot reads a row of 40 tokens and three words, and all share 90 other rows: 384 slots a dispatch,
            // after the two transposes.
            gpu.limit_bytes_to(64 << 10);
            gpu.gather_from_dense(shape, count, false);
            let before = gpu.counters().dispatches;
            operands.gradients(gpu, shape).await;
            assert_eq!(gpu.counters().dispatches - before, 2 + 6, "{tiling:?}");
            assert!(operands.in_both_ways(gpu, shape).await == whole, "{tiling:?}");
        }
    }
}
