//! The training engine: one request protocol over a model, its deltas and its optimiser.
//!
//! Reading order: `protocol` → `engine` → `session`, `weights`, `training` → `model` → `device`.

mod arena;
mod bytes;
mod delta;
mod device;
mod engine;
mod error;
mod host;
mod model;
pub mod protocol;
mod session;
mod stage;
mod state;
mod training;
mod weights;

pub use engine::{Answer, Engine};
