//! Joins an operation's WGSL with the parts that it names and a header of constants.
//!
//! A file says `// uses: reduce grid` at its top; `$weight` in that line is a slot that the launcher fills with a part.
//! Declarations may stand in any order in WGSL, so joining texts is linking, and a name declared twice is an error of
//! the shader compiler. A line `// enable: f16` turns a feature of the language on, for the whole text.

use crate::parts::PARTS;
use std::fmt::Write;
use std::hash::{Hash, Hasher};

/// A value of the header, fixed when the pipeline is made.
#[derive(Debug, Clone, Copy)]
pub enum Constant {
    /// An unsigned integer.
    U32(&'static str, u32),
    /// A choice.
    Bool(&'static str, bool),
    /// The part that fills a slot.
    Part(&'static str, &'static str),
}

/// An operation's text and what is joined with it: cheap to make and to tell from others, joined when it is needed.
///
/// Texts are told apart by their addresses, so two copies of one text may count as two.
#[derive(Debug, Clone)]
pub struct Source {
    text: &'static str,
    constants: Vec<Constant>,
}

impl Source {
    /// The parts of a whole.
    #[must_use]
    pub fn new(text: &'static str, constants: &[Constant]) -> Self {
        Self { text, constants: constants.to_vec() }
    }

    /// The whole text: constants, then parts, then the operation.
    ///
    /// # Panics
    /// When a part or slot is unknown, which tests that validate every program show.
    #[must_use]
    pub fn assemble(&self) -> String {
        assemble(self.text, &self.constants)
    }

    /// What two equal sources have in common.
    fn key(&self) -> (Address, impl Iterator<Item = (Address, Address)>) {
        let address = |text: &'static str| (text.as_ptr() as usize, text.len());
        let constants = self.constants.iter().map(move |constant| match constant {
            Constant::U32(name, value) => (address(name), (0, *value as usize)),
            Constant::Bool(name, value) => (address(name), (1, usize::from(*value))),
            Constant::Part(name, part) => (address(name), address(part)),
        });
        (address(self.text), constants)
    }
}

/// Where a text lies, and how long it is; a number has an address that no text has.
type Address = (usize, usize);

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        let ((text, constants), (other_text, others)) = (self.key(), other.key());
        text == other_text && constants.eq(others)
    }
}

impl Eq for Source {}

impl Hash for Source {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (text, constants) = self.key();
        text.hash(state);
        constants.for_each(|constant| constant.hash(state));
    }
}

fn assemble(text: &str, constants: &[Constant]) -> String {
    let mut linked = String::new();
    include(text, constants, &mut Vec::new(), &mut linked);
    linked.push_str(text);
    let mut out = String::new();
    let mut features: Vec<&str> = named_by("// enable: ", &linked).collect();
    features.sort_unstable();
    features.dedup();
    for feature in features {
        let written = writeln!(out, "enable {feature};");
        debug_assert!(written.is_ok(), "a string takes every write");
    }
    for constant in constants {
        let written = match constant {
            Constant::U32(name, value) => writeln!(out, "const {name}: u32 = {value}u;"),
            Constant::Bool(name, value) => writeln!(out, "const {name}: bool = {value};"),
            Constant::Part(..) => Ok(()),
        };
        debug_assert!(written.is_ok(), "a string takes every write");
    }
    out.push_str(&linked);
    out
}

/// What the lines of a text that begin so name.
fn named_by<'a>(line: &'a str, text: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |all| all.strip_prefix(line)).flat_map(str::split_whitespace)
}

/// Appends the parts that `text` uses, each once, those that they use first.
fn include(text: &str, constants: &[Constant], included: &mut Vec<&'static str>, out: &mut String) {
    for name in named_by("// uses: ", text) {
        let (name, part) = match name.strip_prefix('$') {
            Some(slot) => filled(slot, constants),
            None => named(name),
        };
        if !included.contains(&name) {
            included.push(name);
            include(part, constants, included, out);
            out.push_str(part);
        }
    }
}

fn named(name: &str) -> (&'static str, &'static str) {
    let part = PARTS.iter().find(|(part, _)| *part == name);
    *part.unwrap_or_else(|| panic!("no WGSL part is named {name}"))
}

fn filled(slot: &str, constants: &[Constant]) -> (&'static str, &'static str) {
    let part = constants.iter().find_map(|constant| match constant {
        Constant::Part(name, part) if *name == slot => Some((*name, *part)),
        _ => None,
    });
    part.unwrap_or_else(|| panic!("nothing fills the WGSL slot ${slot}"))
}

#[cfg(test)]
mod tests;
