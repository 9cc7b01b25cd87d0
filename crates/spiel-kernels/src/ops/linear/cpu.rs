use crate::parallel::{chunks_mut, rows_per_task};
use crate::product::{Matrix, Output, product_threaded};

/// y = x·Wᵀ: `x [T, in]`, `weight [out, in]`, `y [T, out]`.
pub fn linear(
    x: &[f32],
    weight: &[f32],
    tokens: usize,
    inputs: usize,
    outputs: usize,
    y: &mut [f32],
) {
    product_threaded(
        Matrix::new(x, tokens, inputs, inputs),
        Matrix::new(weight, outputs, inputs, inputs).transposed(),
        Output::replace(y),
    );
}

/// The gradient in x, `grad_y·W`, replacing `grad_x [T, in]` or added to it.
pub fn linear_backward_input(
    grad_y: &[f32],
    weight: &[f32],
    tokens: usize,
    inputs: usize,
    outputs: usize,
    accumulate: bool,
    grad_x: &mut [f32],
) {
    product_threaded(
        Matrix::new(grad_y, tokens, outputs, outputs),
        Matrix::new(weight, outputs, inputs, inputs),
        if accumulate { Output::add(grad_x) } else { Output::replace(grad_x) },
    );
}

/// The gradient in W, `grad_yᵀ·x`, replacing `grad_weight [out, in]` or added to it.
pub fn linear_backward_weight(
    grad_y: &[f32],
    x: &[f32],
    tokens: usize,
    inputs: usize,
    outputs: usize,
    accumulate: bool,
    grad_weight: &mut [f32],
) {
    product_threaded(
        Matrix::new(grad_y, tokens, outputs, outputs).transposed(),
        Matrix::new(x, tokens, inputs, inputs),
        if accumulate { Output::add(grad_weight) } else { Output::replace(grad_weight) },
    );
}

/// Adds `bias [width]` to every row of `y [T, width]`.
pub fn add_bias(bias: &[f32], y: &mut [f32]) {
    let width = bias.len();
    chunks_mut(y, rows_per_task(width) * width, |_, y| {
        for row in y.chunks_mut(width) {
            for (y, bias) in row.iter_mut().zip(bias) {
                *y += bias;
            }
        }
    });
}

/// Adds the column sums of `grad_y [T, width]` to `grad_bias [width]`.
pub fn add_bias_backward(grad_y: &[f32], grad_bias: &mut [f32]) {
    for row in grad_y.chunks(grad_bias.len()) {
        for (sum, grad) in grad_bias.iter_mut().zip(row) {
            *sum += grad;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::finite_difference::{assert_gradient, weighted_sum};
    use crate::random::uniform;

    #[test]
    fn backward_is_the_derivative() {
        let (tokens, inputs, outputs) = (3, 4, 5);
        let (x, weight, bias) =
            (uniform(1, tokens * inputs), uniform(2, outputs * inputs), uniform(3, outputs));
        let grad_y = uniform(4, tokens * outputs);
        let loss = |x: &[f32], weight: &[f32], bias: &[f32]| {
            let mut y = vec![0.0; tokens * outputs];
            linear(x, weight, tokens, inputs, outputs, &mut y);
            add_bias(bias, &mut y);
            weighted_sum(&y, &grad_y)
        };
        let mut grad_x = vec![f32::NAN; tokens * inputs];
        let mut grad_weight = vec![f32::NAN; outputs * inputs];
        let mut grad_bias = vec![0.0; outputs];
        linear_backward_input(&grad_y, &weight, tokens, inputs, outputs, false, &mut grad_x);
        linear_backward_weight(&grad_y, &x, tokens, inputs, outputs, false, &mut grad_weight);
        add_bias_backward(&grad_y, &mut grad_bias);
        assert_gradient("x", &x, &grad_x, |x| loss(x, &weight, &bias));
        assert_gradient("weight", &weight, &grad_weight, |weight| loss(&x, weight, &bias));
        assert_gradient("bias", &bias, &grad_bias, |bias| loss(&x, &weight, bias));
    }
}
