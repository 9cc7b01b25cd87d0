//! y = x·Wᵀ (+ bias) for W `[out, in]`, and its gradients.

mod cpu;
mod gpu;
mod work;

pub use cpu::{
    add_bias, add_bias_backward, linear, linear_backward_input, linear_backward_input_bf16,
    linear_backward_input_stored, linear_backward_weight, linear_bf16, linear_packed,
    linear_stored,
};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{
    Layout, Tiling, add_bias_backward_program, add_bias_program, linear_deltas_program,
    linear_packed_program, product_program,
};
pub use work::{linear_packed_work, product_work, stored_product_work};

/// T, in_features and out_features of a dense product.
#[derive(Debug, Clone, Copy)]
pub struct LinearShape {
    /// Rows of x and y.
    pub tokens: usize,
    /// Columns of x and of the weights.
    pub inputs: usize,
    /// Columns of y, rows of the weights.
    pub outputs: usize,
}
