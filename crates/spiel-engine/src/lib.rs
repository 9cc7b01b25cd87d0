//! The training engine: one request protocol over a model, its deltas and its optimiser.
pub mod protocol;
