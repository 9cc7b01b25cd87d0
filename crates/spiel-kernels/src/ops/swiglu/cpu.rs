use crate::math::sigmoid;
use crate::parallel::{ELEMENTS_PER_TASK as TASK, chunks_mut, chunks_mut2};
use multiversion::multiversion;

/// activation = silu(gate) · up, all `[T, F]`.
pub fn swiglu(gate: &[f32], up: &[f32], activation: &mut [f32]) {
    chunks_mut(activation, TASK, |task, activation| {
        let range = task * TASK..task * TASK + activation.len();
        forward(&gate[range.clone()], &up[range], activation);
    });
}

/// The gradients in `gate` and `up` from `grad [T, F]`, the gradient in the activation.
pub fn swiglu_backward(
    gate: &[f32],
    up: &[f32],
    grad: &[f32],
    grad_gate: &mut [f32],
    grad_up: &mut [f32],
) {
    chunks_mut2((grad_gate, TASK), (grad_up, TASK), |task, grad_gate, grad_up| {
        let range = task * TASK..task * TASK + grad_gate.len();
        backward(&gate[range.clone()], &up[range.clone()], &grad[range], grad_gate, grad_up);
    });
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn forward(gate: &[f32], up: &[f32], activation: &mut [f32]) {
    for ((out, gate), up) in activation.iter_mut().zip(gate).zip(up) {
        *out = gate * sigmoid(*gate) * up;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn backward(gate: &[f32], up: &[f32], grad: &[f32], grad_gate: &mut [f32], grad_up: &mut [f32]) {
    let count = gate.len();
    let (up, grad, grad_gate, grad_up) =
        (&up[..count], &grad[..count], &mut grad_gate[..count], &mut grad_up[..count]);
    for i in 0..count {
        let s = sigmoid(gate[i]);
        grad_up[i] = grad[i] * gate[i] * s;
        grad_gate[i] = grad[i] * up[i] * s * (1.0 + gate[i] * (1.0 - s));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::finite_difference::{assert_gradient, weighted_sum};
    use crate::random::uniform;

    #[test]
    fn backward_is_the_derivative() {
        let (gate, up, grad) = (uniform(1, 33), uniform(2, 33), uniform(3, 33));
        let loss = |gate: &[f32], up: &[f32]| {
            let mut y = vec![0.0; 33];
            swiglu(gate, up, &mut y);
            weighted_sum(&y, &grad)
        };
        let (mut grad_gate, mut grad_up) = (vec![0.0; 33], vec![0.0; 33]);
        swiglu_backward(&gate, &up, &grad, &mut grad_gate, &mut grad_up);
        assert_gradient("gate", &gate, &grad_gate, |gate| loss(gate, &up));
        assert_gradient("up", &up, &grad_up, |up| loss(&gate, up));
    }
}
