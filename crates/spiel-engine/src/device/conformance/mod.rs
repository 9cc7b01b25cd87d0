//! The GPU against the CPU: one body per operation runs on both, and twice on the GPU.
//!
//! What an operation writes must agree within a stated bound, be the same bits the second time, and end where it is
//! said to end: guard words follow every buffer on the GPU. Natively every case is a test; a WASM build with the feature
//! `conformance` runs the same cases over `navigator.gpu`.
#![expect(clippy::expect_used, reason = "what a test cannot have fails it")]

mod agreement;
#[cfg(test)]
mod economy;
#[cfg(test)]
pub(in crate::device) mod fixture;
#[cfg(test)]
mod native;
mod subject;
#[cfg(test)]
mod unlogged;

use super::GpuDevice;
use agreement::{Bound, agree};
#[cfg(test)]
pub(in crate::device) use native::gpus;
use std::pin::Pin;
#[cfg(feature = "conformance")]
pub(crate) use subject::open_gpus;
use subject::{SHORT_BINDING, Subject, normal, words_of};

/// A case: every size of one operation, on each of the GPUs. Panics where they disagree with the CPU.
pub(crate) type Case = for<'a> fn(&'a [GpuDevice]) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Declares the modules of cases and puts their lists together.
macro_rules! suites {
    ($($suite:ident,)+) => {
        $(mod $suite;)+

        /// Every case with its name, for hosts that run them by number.
        #[cfg(feature = "conformance")]
        pub(crate) fn cases() -> Vec<(&'static str, Case)> {
            [$($suite::CASES),+].concat()
        }
    };
}

/// Lists the cases of a module, and makes each a native test.
macro_rules! cases {
    ($($name:ident,)+) => {
        #[cfg(feature = "conformance")]
        pub(super) const CASES: &[(&str, $crate::device::conformance::Case)] =
            &[$((stringify!($name), |gpus| Box::pin($name(gpus)))),+];

        #[cfg(test)]
        mod tests {
            $(#[test]
            fn $name() {
                $crate::device::conformance::native::run(|gpus| Box::pin(super::$name(gpus)));
            })+
        }
    };
}

/// Runs a body on the CPU and twice on a GPU, and checks each of the outputs that it returns within its bound.
macro_rules! conform {
    ($gpu:expr, $case:expr, $bounds:expr, |$on:ident| $body:block) => {{
        let cpu = $crate::device::CpuDevice::new(None);
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

suites! {
    attention,
    halves,
    limits,
    optimizers,
    passes,
    products,
    profile,
    reselection,
    rows,
    sampling,
    weights,
}
