//! One folder per operation: its formula, its CPU functions and their tests.

pub mod adamw;
pub mod attention;
pub mod clip;
pub mod cross_entropy;
pub mod delta;
pub mod embedding;
pub mod linear;
pub mod positions;
pub mod probe;
pub mod reselect;
pub mod rms_norm;
pub mod rope;
pub mod rows;
pub mod sm3;
pub mod swiglu;
pub mod top_k;
pub mod transpose;

#[cfg(test)]
mod finite_difference;
