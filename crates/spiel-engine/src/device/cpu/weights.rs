//! Products by weights, in the form and precision that they are kept or rounded in.

use super::Words;
use crate::device::{Dense, Factor, Stored};
use half::bf16;
use spiel_kernels::element::Element;
use spiel_kernels::ops::linear::{
    LinearShape, linear, linear_backward_input, linear_backward_input_bf16,
    linear_backward_input_stored, linear_bf16, linear_stored,
};
use spiel_kernels::product::{StoredMatrix, Unit};

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

/// Whether products decode stored weights on their way: units for bf16, and the product of WebAssembly, take dense ones.
pub(super) fn are_multiplied_stored(element: Element) -> bool {
    element == Element::F32 && !cfg!(target_arch = "wasm32")
}

/// The weights of a product, and the unit by which those are multiplied that are rounded.
pub(super) enum Weights<'a> {
    F32(&'a [f32]),
    /// Decoded on their way.
    Stored(StoredMatrix<'a>),
    /// Kept in f32, rounded to bf16 on their way.
    Rounded(Unit, &'a [f32]),
    Bf16(Unit, &'a [bf16]),
}

impl<'a> Weights<'a> {
    pub(super) fn of(factor: Factor<'a, Words>, shape: LinearShape) -> Self {
        match factor {
            Factor::Dense(matrix) => Self::dense(&matrix),
            Factor::Stored(Stored { data, format, deltas }) => {
                let sizes = [shape.outputs, shape.inputs];
                Self::Stored(StoredMatrix::new(format, data.bytes(), slices(deltas), sizes))
            }
        }
    }

    fn dense(matrix: &Dense<'a, Words>) -> Self {
        match Unit::offered().filter(|_| matrix.bf16_factors) {
            None => Self::F32(matrix.data.floats()),
            Some(unit) if matrix.element == Element::Bf16 => {
                Self::Bf16(unit, bytemuck::cast_slice(matrix.data.0.as_slice()))
            }
            Some(unit) => Self::Rounded(unit, matrix.data.floats()),
        }
    }

    /// y = x·Wᵀ.
    pub(super) fn linear(&self, x: &[f32], shape: LinearShape, y: &mut [f32]) {
        match *self {
            Self::F32(weight) => linear(x, weight, shape, y),
            Self::Stored(weight) => linear_stored(x, weight, shape, y),
            Self::Rounded(unit, weight) => linear_bf16(unit, x, weight, shape, y),
            Self::Bf16(unit, weight) => linear_bf16(unit, x, weight, shape, y),
        }
    }

    /// The gradient in x, replacing `grad_x` or added to it.
    pub(super) fn backward_input(
        &self,
        grad_y: &[f32],
        shape: LinearShape,
        accumulate: bool,
        grad_x: &mut [f32],
    ) {
        match *self {
            Self::F32(weight) => {
                linear_backward_input(grad_y, weight, shape, accumulate, grad_x);
            }
            Self::Stored(weight) => {
                linear_backward_input_stored(grad_y, weight, shape, accumulate, grad_x);
            }
            Self::Rounded(unit, weight) => {
                linear_backward_input_bf16(unit, grad_y, weight, shape, accumulate, grad_x);
            }
            Self::Bf16(unit, weight) => {
                linear_backward_input_bf16(unit, grad_y, weight, shape, accumulate, grad_x);
            }
        }
    }
}

/// Positions and values of deltas, none where there are none.
pub(super) fn slices<'a>(deltas: Option<(&'a Words, &'a Words)>) -> (&'a [u32], &'a [f32]) {
    deltas
        .map_or_else(Default::default, |(indices, values)| (indices.0.as_slice(), values.floats()))
}
