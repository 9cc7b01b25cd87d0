//! Products by dense weights, in the precision that they are kept or rounded in.

use super::Words;
use crate::device::Dense;
use half::bf16;
use spiel_kernels::element::Element;
use spiel_kernels::ops::linear::{
    linear, linear_backward_input, linear_backward_input_bf16, linear_bf16,
};
use spiel_kernels::product::Unit;

/// Whether dense weights can be of this type.
pub(super) fn can_be_in(element: Element) -> bool {
    match element {
        Element::F32 => true,
        Element::F16 => false,
        Element::Bf16 => Unit::offered().is_some(),
    }
}

/// The type by which products are fastest.
pub(super) fn fastest_element() -> Element {
    match Unit::offered() {
        Some(unit) if unit.outruns_f32() => Element::Bf16,
        _ => Element::F32,
    }
}

/// Whether products by such weights come out right, which bf16 units are not trusted in before they were tried.
pub(super) fn are_right_in(element: Element) -> bool {
    element != Element::Bf16 || Unit::offered().is_some_and(Unit::is_right)
}

/// Dense weights, and the unit by which those are multiplied that are rounded.
pub(super) enum Weights<'a> {
    F32(&'a [f32]),
    /// Kept in f32, rounded to bf16 on their way.
    Rounded(Unit, &'a [f32]),
    Bf16(Unit, &'a [bf16]),
}

impl<'a> Weights<'a> {
    pub(super) fn of(matrix: &Dense<'a, Words>) -> Self {
        match Unit::offered().filter(|_| matrix.bf16_factors) {
            None => Self::F32(matrix.data.floats()),
            Some(unit) if matrix.element == Element::Bf16 => {
                Self::Bf16(unit, bytemuck::cast_slice(matrix.data.0.as_slice()))
            }
            Some(unit) => Self::Rounded(unit, matrix.data.floats()),
        }
    }

    /// y = x·Wᵀ for sizes T, in and out.
    pub(super) fn linear(&self, x: &[f32], sizes: [usize; 3], y: &mut [f32]) {
        let [tokens, inputs, outputs] = sizes;
        match *self {
            Self::F32(weight) => linear(x, weight, tokens, inputs, outputs, y),
            Self::Rounded(unit, weight) => linear_bf16(unit, x, weight, sizes, y),
            Self::Bf16(unit, weight) => linear_bf16(unit, x, weight, sizes, y),
        }
    }

    /// The gradient in x, replacing `grad_x` or added to it.
    pub(super) fn backward_input(
        &self,
        grad_y: &[f32],
        sizes: [usize; 3],
        accumulate: bool,
        grad_x: &mut [f32],
    ) {
        let [tokens, inputs, outputs] = sizes;
        match *self {
            Self::F32(weight) => {
                linear_backward_input(grad_y, weight, tokens, inputs, outputs, accumulate, grad_x);
            }
            Self::Rounded(unit, weight) => {
                linear_backward_input_bf16(unit, grad_y, weight, sizes, accumulate, grad_x);
            }
            Self::Bf16(unit, weight) => {
                linear_backward_input_bf16(unit, grad_y, weight, sizes, accumulate, grad_x);
            }
        }
    }
}
