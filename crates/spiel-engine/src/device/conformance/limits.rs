//! Operations that are more work than one dispatch may be.

use super::{attention, products};
use crate::device::GpuDevice;

cases! {
    long_operations_are_cut,
}

async fn long_operations_are_cut(gpus: &[GpuDevice]) {
    for gpu in gpus {
        gpu.limit_to(1_000_000, 500_000);
    }
    products::linear(gpus).await;
    products::linear_backward(gpus).await;
    attention::attention_and_its_backward(gpus).await;
}
