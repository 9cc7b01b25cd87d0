//! The GPU against the CPU: one body per operation runs on both, and twice on the GPU.
//!
//! What an operation writes must agree within a stated bound, be the same bits the second time, and end where it is
//! said to end: guard words follow every buffer on the GPU.
#![expect(clippy::expect_used, reason = "what a test cannot have fails it")]

mod agreement;
mod attention;
mod economy;
mod optimizers;
mod passes;
mod products;
mod profile;
mod reselection;
mod rows;
mod sampling;
pub(in crate::device) mod subject;
mod unlogged;
mod weights;

use agreement::{Bound, agree};
use subject::{Subject, gpus, normal, words_of};

/// Runs a body on the CPU and twice on a GPU, and checks each of the outputs that it returns within its bound.
macro_rules! conform {
    ($gpu:expr, $case:expr, $bounds:expr, |$on:ident| $body:block) => {{
        let run_on = |cpu: $crate::device::CpuDevice| {
            let $on = &cpu;
            $body
        };
        let expected: Vec<Vec<u32>> =
            run_on($crate::device::CpuDevice::open(Some(1)).expect("a CPU"));
        let run_twice = || {
            let $on = $gpu;
            $body
        };
        let actual: [Vec<Vec<u32>>; 2] = [run_twice(), run_twice()];
        $crate::device::conformance::agree(&$case, &$bounds, &expected, &actual);
    }};
}
use conform;
