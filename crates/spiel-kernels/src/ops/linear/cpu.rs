use super::LinearShape;
use crate::formats::{Format, multiply};
use crate::parallel::{chunks_mut, rows_per_task, threads};
use crate::product::{
    Factor, Matrix, Output, StoredMatrix, Unit, product_bf16, product_stored, product_threaded,
};

/// Stored weights that a task multiplies: ten microseconds' worth.
const WEIGHTS_PER_TASK: usize = 128 * 1024;

/// Fewer are not worth a task.
const LEAST_WEIGHTS_PER_TASK: usize = 16 * 1024;

impl LinearShape {
    /// x or its gradient, `[T, in]`.
    fn x(self, data: &[f32]) -> Matrix<'_> {
        Matrix::new(data, self.tokens, self.inputs, self.inputs)
    }

    /// W, `[out, in]`.
    fn weight<T>(self, data: &[T]) -> Matrix<'_, T> {
        Matrix::new(data, self.outputs, self.inputs, self.inputs)
    }

    /// The gradient in y, `[T, out]`.
    fn grad_y(self, data: &[f32]) -> Matrix<'_> {
        Matrix::new(data, self.tokens, self.outputs, self.outputs)
    }
}

/// y = x·Wᵀ: `x [T, in]`, `weight [out, in]`, `y [T, out]`.
pub fn linear(x: &[f32], weight: &[f32], shape: LinearShape, y: &mut [f32]) {
    product_threaded(shape.x(x), shape.weight(weight).transposed(), Output::replace(y));
}

/// The same from weights as they are stored, `[out, in]`: they are decoded on their way into the product.
pub fn linear_stored(x: &[f32], weight: StoredMatrix, shape: LinearShape, y: &mut [f32]) {
    product_stored(shape.x(x), weight.transposed(), Output::replace(y));
}

/// The same of x and weights that are rounded to bf16.
pub fn linear_bf16<T: Factor>(
    unit: Unit,
    x: &[f32],
    weight: &[T],
    shape: LinearShape,
    y: &mut [f32],
) {
    product_bf16(unit, shape.x(x), shape.weight(weight).transposed(), Output::replace(y));
}

/// What [`linear`] is for one token, `x [in]` and `y [out]`, from stored weights and deltas to add to them: sorted flat
/// positions and their values.
pub fn linear_packed(
    format: Format,
    stored: &[u8],
    (indices, values): (&[u32], &[f32]),
    x: &[f32],
    y: &mut [f32],
) {
    let inputs = x.len();
    let row_bytes = format.bytes(inputs);
    // As many tasks for each thread where they are large enough: each row is one task's sum, whosever it is.
    let weights = y.len() * inputs;
    let tasks = weights.div_ceil(WEIGHTS_PER_TASK).next_multiple_of(threads());
    let most = weights.div_ceil(LEAST_WEIGHTS_PER_TASK).max(1);
    let rows = y.len().div_ceil(tasks.clamp(1, most)).max(1);
    chunks_mut(y, rows, |task, y| {
        let first = task * rows;
        multiply(format, &stored[first * row_bytes..][..y.len() * row_bytes], x, y);
        // The first delta that is not passed yet: rows come in the order of their positions.
        let mut slot = indices.partition_point(|index| (*index as usize) < first * inputs);
        for (row, y) in (first..).zip(y) {
            while let Some(index) = indices.get(slot)
                && (*index as usize) < (row + 1) * inputs
            {
                *y += values[slot] * x[*index as usize - row * inputs];
                slot += 1;
            }
        }
    });
}

/// The gradient in x, `grad_y·W`, replacing `grad_x [T, in]` or added to it.
pub fn linear_backward_input(
    grad_y: &[f32],
    weight: &[f32],
    shape: LinearShape,
    accumulate: bool,
    grad_x: &mut [f32],
) {
    let grad_x = Output::new(grad_x, accumulate);
    product_threaded(shape.grad_y(grad_y), shape.weight(weight), grad_x);
}

/// The same from weights as they are stored, `[out, in]`.
pub fn linear_backward_input_stored(
    grad_y: &[f32],
    weight: StoredMatrix,
    shape: LinearShape,
    accumulate: bool,
    grad_x: &mut [f32],
) {
    product_stored(shape.grad_y(grad_y), weight, Output::new(grad_x, accumulate));
}

/// The same of gradients and weights that are rounded to bf16.
pub fn linear_backward_input_bf16<T: Factor>(
    unit: Unit,
    grad_y: &[f32],
    weight: &[T],
    shape: LinearShape,
    accumulate: bool,
    grad_x: &mut [f32],
) {
    let grad_x = Output::new(grad_x, accumulate);
    product_bf16(unit, shape.grad_y(grad_y), shape.weight(weight), grad_x);
}

/// The gradient in W, `grad_yᵀ·x`, replacing `grad_weight [out, in]` or added to it.
pub fn linear_backward_weight(
    grad_y: &[f32],
    x: &[f32],
    shape: LinearShape,
    accumulate: bool,
    grad_weight: &mut [f32],
) {
    let grad_weight = Output::new(grad_weight, accumulate);
    product_threaded(shape.grad_y(grad_y).transposed(), shape.x(x), grad_weight);
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
    use crate::formats::encode;
    use crate::ops::delta::materialise;
    use crate::ops::finite_difference::{assert_gradient, weighted_sum};
    use crate::random::{positions, uniform};

    #[test]
    fn stored_weights_multiply_as_decoded_ones_do() {
        for &format in Format::ALL {
            for (outputs, blocks, count) in [(1, 1, 0), (5, 3, 4), (300, 2, 500), (7, 900, 90)] {
                let inputs = blocks * format.block_elements();
                let mut weights = uniform(1, outputs * inputs);
                let mut stored = vec![0; format.bytes(weights.len())];
                encode(format, &weights, &mut stored);
                let count = count.min(weights.len());
                let indices = positions(2, 0, count, weights.len() as u32);
                let (values, x) = (uniform(3, count), uniform(4, inputs));
                materialise(format, &stored, (&indices, &values), &mut weights);
                let (mut y, mut expected) = (vec![f32::NAN; outputs], vec![0.0; outputs]);
                linear_packed(format, &stored, (&indices, &values), &x, &mut y);
                let shape = LinearShape { tokens: 1, inputs, outputs };
                linear(&x, &weights, shape, &mut expected);
                for (y, expected) in y.iter().zip(&expected) {
                    let bound = 1e-6 * inputs as f32;
                    assert!((y - expected).abs() <= bound, "{format:?} {outputs}x{inputs}");
                }
            }
        }
    }

    #[test]
    fn threads_do_not_change_the_bits() {
        let (outputs, inputs, count) = (577, 576, 3000);
        let mut stored = vec![0; Format::Q4_1.bytes(outputs * inputs)];
        encode(Format::Q4_1, &uniform(1, outputs * inputs), &mut stored);
        let indices = positions(2, 0, count, (outputs * inputs) as u32);
        let (values, x) = (uniform(3, count), uniform(4, inputs));
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool").install(|| {
                let mut y = vec![f32::NAN; outputs];
                linear_packed(Format::Q4_1, &stored, (&indices, &values), &x, &mut y);
                y
            })
        };
        let one = on(1);
        for threads in [2, 3, 7, 64] {
            assert!(on(threads) == one, "other bits on {threads} threads");
        }
    }

    #[test]
    fn backward_is_the_derivative() {
        let shape = LinearShape { tokens: 3, inputs: 4, outputs: 5 };
        let LinearShape { tokens, inputs, outputs } = shape;
        let (x, weight, bias) =
            (uniform(1, tokens * inputs), uniform(2, outputs * inputs), uniform(3, outputs));
        let grad_y = uniform(4, tokens * outputs);
        let loss = |x: &[f32], weight: &[f32], bias: &[f32]| {
            let mut y = vec![0.0; tokens * outputs];
            linear(x, weight, shape, &mut y);
            add_bias(bias, &mut y);
            weighted_sum(&y, &grad_y)
        };
        let mut grad_x = vec![f32::NAN; tokens * inputs];
        let mut grad_weight = vec![f32::NAN; outputs * inputs];
        let mut grad_bias = vec![0.0; outputs];
        linear_backward_input(&grad_y, &weight, shape, false, &mut grad_x);
        linear_backward_weight(&grad_y, &x, shape, false, &mut grad_weight);
        add_bias_backward(&grad_y, &mut grad_bias);
        assert_gradient("x", &x, &grad_x, |x| loss(x, &weight, &bias));
        assert_gradient("weight", &weight, &grad_weight, |weight| loss(&x, weight, &bias));
        assert_gradient("bias", &bias, &grad_bias, |bias| loss(&x, &weight, bias));
    }
}
