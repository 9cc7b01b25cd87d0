//! The GPU against the CPU: one body per operation runs on both, and twice on the GPU.
//!
//! What an operation writes must agree within a stated bound, be the same bits the second time, and end where it is
//! said to end: guard words follow every buffer on the GPU. Natively every case is a test; a WASM build with the feature
//! `conformance` runs the same cases over `navigator.gpu`.
#![expect(clippy::expect_used, reason = "what a test cannot have fails it")]

mod agreement;
mod attention;
#[cfg(test)]
mod economy;
mod halves;
#[cfg(test)]
mod native;
mod optimizers;
mod passes;
mod products;
mod profile;
mod reselection;
mod rows;
mod sampling;
mod subject;
#[cfg(test)]
mod unlogged;
mod weights;

use super::GpuDevice;
use agreement::{Bound, agree};
#[cfg(test)]
pub(in crate::device) use native::gpus;
use std::pin::Pin;
#[cfg(feature = "conformance")]
pub(crate) use subject::open_gpus;
use subject::{Subject, normal, words_of};

/// A case: every size of one operation, on each of the GPUs. Panics where they disagree with the CPU.
pub(crate) type Case = for<'a> fn(&'a [GpuDevice]) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Names the cases, for hosts that run them by number, and makes each a native test.
macro_rules! cases {
    ($($module:ident::$name:ident,)*) => {
        /// Every case, with its name.
        #[cfg(feature = "conformance")]
        pub(crate) const CASES: &[(&str, Case)] =
            &[$((stringify!($name), |gpus| Box::pin($module::$name(gpus)))),*];

        #[cfg(test)]
        mod tests {
            $(#[test]
            fn $name() {
                super::native::run(|gpus| Box::pin(super::$module::$name(gpus)));
            })*
        }
    };
}

cases! {
    attention::attention_and_its_backward,
    attention::attention_to_earlier_keys,
    halves::materialise_in_halves,
    halves::halves_of_any_number,
    halves::products_by_halves,
    halves::large_tiles_of_halves,
    optimizers::adamw_on_tensors_and_deltas,
    optimizers::sm3,
    optimizers::clipping_by_the_norm_of_all_gradients,
    optimizers::gradients_that_are_not_finite,
    profile::what_is_asked_under_profiling,
    profile::more_dispatches_than_a_submission_times,
    passes::rms_norm,
    passes::rms_norm_backward,
    passes::rope,
    passes::swiglu_and_its_backward,
    passes::add_and_bias,
    passes::transpose,
    passes::cross_entropy,
    products::linear,
    products::linear_backward,
    products::large_tiles,
    reselection::by_accumulated_gradients,
    reselection::by_momentum,
    rows::gather_and_scatter_rows,
    rows::deltas_in_place,
    sampling::drawn_positions_are_those_of_the_cpu,
    sampling::sampled_gradient,
    sampling::both_ways_give_the_same_bits,
    sampling::a_trial_changes_no_gradient,
    sampling::chosen_candidates_are_exactly_the_largest,
    weights::materialise,
    weights::linear_packed,
    weights::a_few_tokens_make_no_matrix_dense,
    weights::embedding,
    weights::embedding_backward,
}

/// Runs a body on the CPU and twice on a GPU, and checks each of the outputs that it returns within its bound.
macro_rules! conform {
    ($gpu:expr, $case:expr, $bounds:expr, |$on:ident| $body:block) => {{
        let cpu = $crate::device::CpuDevice::open(Some(1)).expect("a CPU");
        let expected: Vec<Vec<u32>> = {
            let $on = &cpu;
            $body
        };
        let mut actual: [Vec<Vec<u32>>; 2] = Default::default();
        for outputs in &mut actual {
            let $on = $gpu;
            *outputs = $body;
        }
        $crate::device::conformance::agree(&$case, &$bounds, &expected, &actual);
    }};
}
use conform;
