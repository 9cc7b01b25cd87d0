//! a = silu(gate) · up (Shazeer, arXiv 2002.05202).

mod cpu;

pub use cpu::{swiglu, swiglu_backward};
