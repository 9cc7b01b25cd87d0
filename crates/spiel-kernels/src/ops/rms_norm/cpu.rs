use super::Norm;
use crate::math::{dot, dot3, sum_of_squares};
use crate::parallel::{chunks_mut, map, rows_per_task};
use multiversion::multiversion;

/// y = x / rms(x) · weight over rows: `x`, `y` `[rows, width]`, `weight [width]`.
pub fn rms_norm(x: &[f32], weight: &[f32], norm: Norm, y: &mut [f32]) {
    let width = weight.len();
    let rows = rows_per_task(width);
    chunks_mut(y, rows * width, |task, y| {
        for (y, x) in y.chunks_mut(width).zip(x[task * rows * width..].chunks(width)) {
            scale_row(x, inverse_rms(x, norm.epsilon), weight, norm.offset(), y);
        }
    });
}

/// y = x · inverse · (weight + offset).
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn scale_row(x: &[f32], inverse: f32, weight: &[f32], offset: f32, y: &mut [f32]) {
    for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
        *y = x * inverse * (weight + offset);
    }
}

/// The gradient in x, added to `grad_x [rows, width]`, or replacing it unless `accumulate`; and, if wanted, the
/// gradient in the weight, added to `grad_weight [width]`.
pub fn rms_norm_backward(
    x: &[f32],
    weight: &[f32],
    norm: Norm,
    grad_y: &[f32],
    accumulate: bool,
    grad_x: &mut [f32],
    grad_weight: Option<&mut [f32]>,
) {
    let width = weight.len();
    let rows = rows_per_task(width);
    chunks_mut(grad_x, rows * width, |task, grad_x| {
        let first = task * rows * width;
        let operands = x[first..].chunks(width).zip(grad_y[first..].chunks(width));
        for (grad_x, (x, grad_y)) in grad_x.chunks_mut(width).zip(operands) {
            let inverse = inverse_rms(x, norm.epsilon);
            row_backward(x, weight, norm, grad_y, inverse, accumulate, grad_x);
        }
    });
    if let Some(grad_weight) = grad_weight {
        let count = grad_y.len() / width;
        let inverse = map(count, |row| inverse_rms(&x[row * width..][..width], norm.epsilon));
        chunks_mut(grad_weight, 64, |task, sums| {
            for row in 0..count {
                let first = row * width + task * 64;
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum += grad_y[first + i] * x[first + i] * inverse[row];
                }
            }
        });
    }
}

/// With n = x / rms: `grad_x = (w·g − n · mean(w·g·n)) / rms`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn row_backward(
    x: &[f32],
    weight: &[f32],
    norm: Norm,
    grad_y: &[f32],
    inverse: f32,
    accumulate: bool,
    grad_x: &mut [f32],
) {
    let width = weight.len();
    let offset = norm.offset();
    let offsets = if norm.unit_offset { dot(grad_y, x) } else { 0.0 };
    let mean = (dot3(weight, grad_y, x) + offsets) * inverse / width as f32;
    for i in 0..width {
        let grad = ((weight[i] + offset) * grad_y[i] - x[i] * inverse * mean) * inverse;
        grad_x[i] = if accumulate { grad_x[i] + grad } else { grad };
    }
}

fn inverse_rms(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (sum_of_squares(x) / x.len() as f32 + epsilon).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::finite_difference::{assert_gradient, weighted_sum};
    use crate::random::uniform;

    #[test]
    fn backward_is_the_derivative() {
        let (rows, width) = (3, 10);
        let (x, weight, grad_y) =
            (uniform(1, rows * width), uniform(2, width), uniform(3, rows * width));
        for unit_offset in [false, true] {
            let norm = Norm { epsilon: 1e-5, unit_offset };
            let loss = |x: &[f32], weight: &[f32]| {
                let mut y = vec![0.0; rows * width];
                rms_norm(x, weight, norm, &mut y);
                weighted_sum(&y, &grad_y)
            };
            let mut grad_x = vec![1.0; rows * width];
            let mut grad_weight = vec![0.0; width];
            let grad_weights = Some(&mut grad_weight[..]);
            rms_norm_backward(&x, &weight, norm, &grad_y, true, &mut grad_x, grad_weights);
            let added: Vec<f32> = grad_x.iter().map(|g| g - 1.0).collect();
            assert_gradient("x", &x, &added, |x| loss(x, &weight));
            assert_gradient("weight", &weight, &grad_weight, |weight| loss(&x, weight));
            rms_norm_backward(&x, &weight, norm, &grad_y, false, &mut grad_x, None);
            assert_gradient("x", &x, &grad_x, |x| loss(x, &weight));
        }
    }

    #[test]
    fn an_offset_of_one_is_added_to_the_weights() {
        let (x, weight) = (uniform(1, 30), uniform(2, 10));
        let plain: Vec<f32> = weight.iter().map(|weight| weight + 1.0).collect();
        let of = |weight: &[f32], unit_offset| {
            let mut y = vec![0.0; 30];
            rms_norm(&x, weight, Norm { epsilon: 1e-6, unit_offset }, &mut y);
            y
        };
        assert_eq!(of(&weight, true), of(&plain, false));
    }
}
