//! y = x·Wᵀ (+ bias) for W `[out, in]`, and its gradients.

mod cpu;

pub use cpu::{add_bias, add_bias_backward, linear, linear_backward_input, linear_backward_weight};
