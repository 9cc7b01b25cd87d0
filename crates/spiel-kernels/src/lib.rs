//! Every operation of the trainer, once, as plain functions over slices: no device, no I/O, no state.
//!
//! Shapes use the letters of ARCHITECTURE.md (T tokens, D hidden, F feed-forward, H heads, K key-value
//! heads, V vocabulary); matrices are row-major and weights are `[out, in]`. Every function gives the same
//! bits for any number of threads: work is cut by shape alone, and sums run in a fixed order.

pub mod assemble;
mod columns;
pub mod element;
pub mod formats;
pub mod math;
pub mod ops;
pub mod parallel;
mod parts;
pub mod product;
pub mod program;
pub mod random;
mod scratch;
mod simd;

pub use scratch::free_scratch;
