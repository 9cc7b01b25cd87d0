//! Exact selection of the k largest keys; of equal keys the lower index wins.

mod cpu;
mod gpu;

pub use cpu::{largest, magnitude_key, smallest_key};
#[cfg(test)]
pub(crate) use gpu::programs;
pub use gpu::{
    DIGITS, Keys, RUN, SELECTION, SHIFTS, choose_digit_program, count_chosen_program,
    count_digits_program, place_runs_program, write_chosen_program,
};
