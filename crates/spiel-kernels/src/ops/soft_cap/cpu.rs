use crate::math;
use crate::parallel::{ELEMENTS_PER_TASK, chunks_mut};

/// Bounds every element: cap · tanh(x / cap).
pub fn soft_cap(cap: f32, x: &mut [f32]) {
    chunks_mut(x, ELEMENTS_PER_TASK, |_, x| math::soft_cap(x, cap));
}
