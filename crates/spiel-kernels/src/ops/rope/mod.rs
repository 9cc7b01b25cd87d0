//! Rotary position embedding over the two halves of each head, as in Hugging Face's LLaMA (Su et al., arXiv 2104.09864).

mod cpu;

pub use cpu::{Direction, RopeScaling, frequencies, rope, rotations};
