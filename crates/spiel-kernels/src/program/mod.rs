//! A compute program as plain data: what runs on a GPU, without a GPU.

mod work;

pub use work::Work;
pub(crate) use work::search;

use crate::assemble::{Constant, Source};

/// How a program uses a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only reads it.
    Read,
    /// Reads and writes it.
    ReadWrite,
}

/// Most workgroups that every device runs along one axis.
pub const MAX_GROUPS: u32 = 65_535;

/// WGSL, and how it is bound and launched.
///
/// Binding 0 of group 0 is the uniform `params`; storage buffers follow from binding 1 on, in the order of `buffers`.
#[derive(Debug, Clone)]
pub struct Program {
    /// The operation's name, for messages and profiles.
    pub label: &'static str,
    /// The text, which is also the key of its pipeline.
    pub source: Source,
    /// How each storage buffer is used.
    pub buffers: &'static [Access],
    /// The uniform's words.
    pub params: Vec<u32>,
    /// Workgroups along x, y and z.
    pub workgroups: [u32; 3],
    /// What it has to do.
    pub work: Work,
}

impl Program {
    /// Assembles a program of `groups` workgroups, folded over x and y; the part `grid` unfolds them.
    #[must_use]
    pub fn new(
        label: &'static str,
        text: &'static str,
        constants: &[Constant],
        buffers: &'static [Access],
        params: Vec<u32>,
        groups: usize,
    ) -> Self {
        let groups = groups as u32;
        let rows = groups.div_ceil(MAX_GROUPS).max(1);
        let workgroups = [groups.div_ceil(rows), rows, 1];
        let (source, work) = (Source::new(text, constants), Work::default());
        Self { label, source, buffers, params, workgroups, work }
    }

    /// Says what the program has to do; every operation says it beside its launch geometry.
    #[must_use]
    pub fn doing(self, work: Work) -> Self {
        Self { work, ..self }
    }
}

/// A float as a word of a uniform.
#[must_use]
pub fn word(x: f32) -> u32 {
    x.to_bits()
}

#[cfg(test)]
mod tests;
