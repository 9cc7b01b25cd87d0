use super::Activation;
use crate::math::sigmoid;
use crate::parallel::{ELEMENTS_PER_TASK as TASK, chunks_mut, chunks_mut2};
use multiversion::multiversion;

/// out = act(gate) · up, all `[T, F]`.
pub fn glu(activation: Activation, gate: &[f32], up: &[f32], out: &mut [f32]) {
    chunks_mut(out, TASK, |task, out| {
        let range = task * TASK..task * TASK + out.len();
        forward(activation, &gate[range.clone()], &up[range], out);
    });
}

/// The gradients in `gate` and `up` from `grad [T, F]`, the gradient in the output.
pub fn glu_backward(
    activation: Activation,
    gate: &[f32],
    up: &[f32],
    grad: &[f32],
    grad_gate: &mut [f32],
    grad_up: &mut [f32],
) {
    chunks_mut2((grad_gate, TASK), (grad_up, TASK), |task, grad_gate, grad_up| {
        let range = task * TASK..task * TASK + grad_gate.len();
        let (gate, up) = (&gate[range.clone()], &up[range.clone()]);
        backward(activation, gate, up, &grad[range], grad_gate, grad_up);
    });
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn forward(activation: Activation, gate: &[f32], up: &[f32], out: &mut [f32]) {
    match activation {
        Activation::Silu => forward_by(silu, gate, up, out),
        Activation::GeluTanh => forward_by(gelu_tanh, gate, up, out),
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn backward(
    activation: Activation,
    gate: &[f32],
    up: &[f32],
    grad: &[f32],
    grad_gate: &mut [f32],
    grad_up: &mut [f32],
) {
    match activation {
        Activation::Silu => backward_by(silu, gate, up, grad, grad_gate, grad_up),
        Activation::GeluTanh => backward_by(gelu_tanh, gate, up, grad, grad_gate, grad_up),
    }
}

/// The curve and its slope.
#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    (x, 1.0)
}

/// The curve and its slope.
#[inline(always)]
fn gelu_tanh(x: f32) -> (f32, f32) {
    const TWICE_ROOT: f32 = 2.0 * 0.797_884_6; // 2 sqrt(2 / pi)
    const CUBIC: f32 = 0.044_715;
    let square = CUBIC * x * x;
    (TWICE_ROOT * x * (1.0 + square), TWICE_ROOT * (1.0 + 3.0 * square))
}

#[inline(always)]
fn forward_by(curve: impl Fn(f32) -> (f32, f32), gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate * sigmoid(curve(*gate).0) * up;
    }
}

#[inline(always)]
fn backward_by(
    curve: impl Fn(f32) -> (f32, f32),
    gate: &[f32],
    up: &[f32],
    grad: &[f32],
    grad_gate: &mut [f32],
    grad_up: &mut [f32],
) {
    let count = gate.len();
    let (up, grad, grad_gate, grad_up) =
        (&up[..count], &grad[..count], &mut grad_gate[..count], &mut grad_up[..count]);
    for i in 0..count {
        let (at, slope) = curve(gate[i]);
        let s = sigmoid(at);
        grad_up[i] = grad[i] * gate[i] * s;
        grad_gate[i] = grad[i] * up[i] * s * (1.0 + gate[i] * slope * (1.0 - s));
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
        for activation in Activation::ALL {
            let loss = |gate: &[f32], up: &[f32]| {
                let mut y = vec![0.0; 33];
                glu(activation, gate, up, &mut y);
                weighted_sum(&y, &grad)
            };
            let (mut grad_gate, mut grad_up) = (vec![0.0; 33], vec![0.0; 33]);
            glu_backward(activation, &gate, &up, &grad, &mut grad_gate, &mut grad_up);
            assert_gradient("gate", &gate, &grad_gate, |gate| loss(gate, &up));
            assert_gradient("up", &up, &grad_up, |up| loss(&gate, up));
        }
    }

    #[test]
    fn activations_follow_their_formulas() {
        for x in [-200.0, -12.0, -3.0, -0.5, 0.0, 1e-4, 0.7, 2.5, 9.0, 200.0_f32] {
            let exact = f64::from(x);
            let root = (2.0 / std::f64::consts::PI).sqrt();
            let gelu = 0.5 * exact * (1.0 + (root * (exact + 0.044_715 * exact.powi(3))).tanh());
            let silu = exact / (1.0 + (-exact).exp());
            for (activation, expected) in [(Activation::Silu, silu), (Activation::GeluTanh, gelu)] {
                let (mut y, mut grads) = ([0.0], ([0.0], [0.0]));
                glu(activation, &[x], &[1.0], &mut y);
                let error = (f64::from(y[0]) - expected).abs() / (1.0 + exact.abs());
                assert!(error < 3e-7, "{activation:?}({x}) is {}, expected {expected}", y[0]);
                glu_backward(activation, &[x], &[1.0], &[1.0], &mut grads.0, &mut grads.1);
                assert!(grads.0[0].is_finite() && grads.1[0].to_bits() == y[0].to_bits());
            }
        }
    }
}
