use super::Activation;
use crate::math::sigmoid;
use crate::parallel::{ELEMENTS_PER_TASK as TASK, chunks_mut, chunks_mut2};
use half::bf16;
use multiversion::multiversion;
use std::ops::Range;

/// Gate and up, `[T, F]` each, in the type that they are kept in.
#[derive(Clone, Copy)]
pub enum Gated<'a> {
    /// As the products made them.
    F32(&'a [f32], &'a [f32]),
    /// Rounded.
    Bf16(&'a [bf16], &'a [bf16]),
}

impl Gated<'_> {
    fn part(&self, range: Range<usize>) -> Self {
        match *self {
            Self::F32(gate, up) => Self::F32(&gate[range.clone()], &up[range]),
            Self::Bf16(gate, up) => Self::Bf16(&gate[range.clone()], &up[range]),
        }
    }
}

/// out = act(gate) · up, `[T, F]`.
pub fn glu(activation: Activation, gated: Gated, out: &mut [f32]) {
    chunks_mut(out, TASK, |task, out| {
        forward(activation, gated.part(task * TASK..task * TASK + out.len()), out);
    });
}

/// The gradients in gate and up from `grad [T, F]`, the gradient in the output.
pub fn glu_backward(
    activation: Activation,
    gated: Gated,
    grad: &[f32],
    grad_gate: &mut [f32],
    grad_up: &mut [f32],
) {
    chunks_mut2((grad_gate, TASK), (grad_up, TASK), |task, grad_gate, grad_up| {
        let range = task * TASK..task * TASK + grad_gate.len();
        backward(activation, gated.part(range.clone()), &grad[range], grad_gate, grad_up);
    });
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn forward(activation: Activation, gated: Gated, out: &mut [f32]) {
    match (gated, activation) {
        (Gated::F32(gate, up), Activation::Silu) => forward_by(silu, gate, up, out),
        (Gated::F32(gate, up), Activation::GeluTanh) => forward_by(gelu_tanh, gate, up, out),
        (Gated::Bf16(gate, up), Activation::Silu) => forward_by(silu, gate, up, out),
        (Gated::Bf16(gate, up), Activation::GeluTanh) => forward_by(gelu_tanh, gate, up, out),
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn backward(
    activation: Activation,
    gated: Gated,
    grad: &[f32],
    to_gate: &mut [f32],
    to_up: &mut [f32],
) {
    match (gated, activation) {
        (Gated::F32(gate, up), Activation::Silu) => {
            backward_by(silu, gate, up, grad, to_gate, to_up);
        }
        (Gated::F32(gate, up), Activation::GeluTanh) => {
            backward_by(gelu_tanh, gate, up, grad, to_gate, to_up);
        }
        (Gated::Bf16(gate, up), Activation::Silu) => {
            backward_by(silu, gate, up, grad, to_gate, to_up);
        }
        (Gated::Bf16(gate, up), Activation::GeluTanh) => {
            backward_by(gelu_tanh, gate, up, grad, to_gate, to_up);
        }
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
fn forward_by<T: Copy + Into<f32>>(
    curve: impl Fn(f32) -> (f32, f32),
    gate: &[T],
    up: &[T],
    out: &mut [f32],
) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        let (gate, up) = ((*gate).into(), (*up).into());
        *out = gate * sigmoid(curve(gate).0) * up;
    }
}

#[inline(always)]
fn backward_by<T: Copy + Into<f32>>(
    curve: impl Fn(f32) -> (f32, f32),
    gate: &[T],
    up: &[T],
    grad: &[f32],
    grad_gate: &mut [f32],
    grad_up: &mut [f32],
) {
    let count = gate.len();
    let (up, grad, grad_gate, grad_up) =
        (&up[..count], &grad[..count], &mut grad_gate[..count], &mut grad_up[..count]);
    for i in 0..count {
        let (gate, up) = (gate[i].into(), up[i].into());
        let (at, slope) = curve(gate);
        let s = sigmoid(at);
        grad_up[i] = grad[i] * gate * s;
        grad_gate[i] = grad[i] * up * s * (1.0 + gate * slope * (1.0 - s));
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
                glu(activation, Gated::F32(gate, up), &mut y);
                weighted_sum(&y, &grad)
            };
            let (mut grad_gate, mut grad_up) = (vec![0.0; 33], vec![0.0; 33]);
            let gated = Gated::F32(&gate, &up);
            glu_backward(activation, gated, &grad, &mut grad_gate, &mut grad_up);
            assert_gradient("gate", &gate, &grad_gate, |gate| loss(gate, &up));
            assert_gradient("up", &up, &grad_up, |up| loss(&gate, up));
        }
    }

    #[test]
    fn gates_in_bf16_give_what_the_same_numbers_give_in_f32() {
        let count = TASK + 33;
        let [gate, up] = [1, 2].map(|seed| -> Vec<bf16> {
            uniform(seed, count).into_iter().map(|x| bf16::from_f32(8.0 * x - 4.0)).collect()
        });
        let wide = |x: &[bf16]| -> Vec<f32> { x.iter().map(|x| x.to_f32()).collect() };
        let (wide_gate, wide_up, grad) = (wide(&gate), wide(&up), uniform(3, count));
        for activation in Activation::ALL {
            let results =
                [Gated::Bf16(&gate, &up), Gated::F32(&wide_gate, &wide_up)].map(|gated| {
                    let [mut y, mut grad_gate, mut grad_up] = [(); 3].map(|()| vec![0.0; count]);
                    glu(activation, gated, &mut y);
                    glu_backward(activation, gated, &grad, &mut grad_gate, &mut grad_up);
                    [y, grad_gate, grad_up]
                });
            assert!(results[0] == results[1], "{activation:?}");
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
                let gated = Gated::F32(&[x], &[1.0]);
                glu(activation, gated, &mut y);
                let error = (f64::from(y[0]) - expected).abs() / (1.0 + exact.abs());
                assert!(error < 3e-7, "{activation:?}({x}) is {}, expected {expected}", y[0]);
                glu_backward(activation, gated, &[1.0], &mut grads.0, &mut grads.1);
                assert!(grads.0[0].is_finite() && grads.1[0].to_bits() == y[0].to_bits());
            }
        }
    }
}
