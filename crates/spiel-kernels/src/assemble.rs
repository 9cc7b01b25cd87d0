//! Joins an operation's WGSL with the parts that it names and a header of constants.
//!
//! A file says `// uses: reduce grid` at its top; `$weight` in that line is a slot that the launcher fills with a part.
//! Declarations may stand in any order in WGSL, so joining texts is linking, and a name declared twice is an error of
//! the shader compiler.

use std::fmt::Write;

/// Shared texts, by name.
const PARTS: &[(&str, &str)] = &[
    ("blocks", include_str!("parts/blocks.wgsl")),
    ("clip", include_str!("parts/clip.wgsl")),
    ("grid", include_str!("parts/grid.wgsl")),
    ("part_scales", include_str!("parts/part_scales.wgsl")),
    ("philox", include_str!("parts/philox.wgsl")),
    ("reduce", include_str!("parts/reduce.wgsl")),
    ("row_sums", include_str!("parts/row_sums.wgsl")),
    ("select", include_str!("parts/select.wgsl")),
];

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

/// The whole text: constants, then parts, then the operation.
///
/// # Panics
/// When a part or slot is unknown, which tests that validate every program show.
#[must_use]
pub fn assemble(text: &str, constants: &[Constant]) -> String {
    let mut out = String::new();
    for constant in constants {
        let written = match constant {
            Constant::U32(name, value) => writeln!(out, "const {name}: u32 = {value}u;"),
            Constant::Bool(name, value) => writeln!(out, "const {name}: bool = {value};"),
            Constant::Part(..) => Ok(()),
        };
        debug_assert!(written.is_ok(), "a string takes every write");
    }
    let mut included = Vec::new();
    include(text, constants, &mut included, &mut out);
    out.push_str(text);
    out
}

/// Appends the parts that `text` uses, each once, those that they use first.
fn include(text: &str, constants: &[Constant], included: &mut Vec<&'static str>, out: &mut String) {
    let uses = text.lines().filter_map(|line| line.strip_prefix("// uses: "));
    for name in uses.flat_map(str::split_whitespace) {
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
mod tests {
    use super::*;

    #[test]
    fn parts_come_once_and_before_their_users() {
        let text = "// uses: reduce grid $weight\nfn main() {}\n";
        let part = "// uses: grid\nfn decode() {}\n";
        let all = assemble(text, &[Constant::U32("SIZE", 3), Constant::Part("weight", part)]);
        assert!(all.starts_with("const SIZE: u32 = 3u;\n"));
        assert_eq!(all.matches("fn grid_index").count(), 1);
        assert!(all.find("fn decode").unwrap() < all.find("fn main").unwrap());
    }
}
