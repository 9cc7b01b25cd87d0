//! Exact selection of the k largest keys; of equal keys the lower index wins.

mod cpu;

pub use cpu::{largest, magnitude_key, smallest_key};
