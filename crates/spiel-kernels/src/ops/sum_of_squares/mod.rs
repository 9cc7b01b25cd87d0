//! Σ x² over runs of elements, for the gradient's norm.

mod gpu;

pub use gpu::{RUN, sum_of_squares_program};
