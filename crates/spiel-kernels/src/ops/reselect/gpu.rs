use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Access, Program, Work, search, word};
use std::ops::Range;

/// What a grown delta's entry of an array begins with.
#[derive(Debug, Clone, Copy)]
pub enum GrownEntry {
    /// The same word for all.
    Constant(u32),
    /// A word of its own each.
    Copied,
    /// A float of its own each, times a factor.
    Scaled(f32),
}

fn per_element(
    label: &'static str,
    text: &'static str,
    constants: &[Constant],
    buffers: &'static [Access],
    count: usize,
    words: usize,
) -> Program {
    Program::new(label, text, constants, buffers, vec![count as u32], count.div_ceil(256))
        .doing(Work::new([count], 0, words * count))
}

/// Buffers: values, drop flags, keys. Only flagged slots take part if `masked`.
#[must_use]
pub fn slot_keys_program(count: usize, masked: bool) -> Program {
    let constants = [Constant::Bool("MASKED", masked)];
    let text = include_str!("slot_keys.wgsl");
    let words = 2 + usize::from(masked);
    per_element("slot_keys", text, &constants, &[Read, Read, ReadWrite], count, words)
}

/// Buffers: list, flags.
#[must_use]
pub fn mark_program(count: usize) -> Program {
    per_element("mark", include_str!("mark.wgsl"), &[], &[Read, ReadWrite], count, 2)
}

/// Buffers: indices, drop flags, candidates, grads, slots, keys, counts.
#[must_use]
pub fn candidate_keys_program(count: usize) -> Program {
    let buffers = &[Read, Read, Read, Read, ReadWrite, ReadWrite, ReadWrite];
    let text = include_str!("candidate_keys.wgsl");
    per_element("candidate_keys", text, &[], buffers, count, 5 + search(count))
}

/// Begins a selection of at most `limit` of `counts[which]`. Buffers: counts, selection.
#[must_use]
pub fn want_program(limit: usize, which: u32) -> Program {
    let params = vec![limit as u32, which];
    Program::new("want", include_str!("want.wgsl"), &[], &[Read, ReadWrite], params, 1)
        .doing(Work::new([1], 0, 5))
}

/// Buffers: chosen candidates, selection, slots, drop flags, grown flags, counts.
#[must_use]
pub fn settle_program(count: usize) -> Program {
    let buffers = &[Read, Read, Read, ReadWrite, ReadWrite, ReadWrite];
    per_element("settle", include_str!("settle.wgsl"), &[], buffers, count, 4)
}

/// Buffers: rows, columns, keys.
#[must_use]
pub fn momentum_keys_program(rows: usize, columns: usize) -> Program {
    let count = rows * columns;
    let params = vec![count as u32, columns as u32];
    let text = include_str!("momentum_keys.wgsl");
    let buffers = &[Read, Read, ReadWrite];
    Program::new("momentum_keys", text, &[], buffers, params, count.div_ceil(256)).doing(Work::new(
        [rows, columns],
        1,
        count + rows + columns,
    ))
}

/// Changes the keys `window`, of which alone it is given. Buffers: indices, keys.
#[must_use]
pub fn exclude_program(count: usize, window: &Range<usize>) -> Program {
    let params = vec![count as u32, window.start as u32, window.len() as u32];
    let text = include_str!("exclude.wgsl");
    Program::new("exclude", text, &[], &[Read, ReadWrite], params, count.div_ceil(256))
        .doing(Work::new([count], 0, 2 * count))
}

/// Buffers: indices, dropped slots, grown positions, counts, origins.
#[must_use]
pub fn place_kept_program(count: usize) -> Program {
    let buffers = &[Read, Read, Read, Read, ReadWrite];
    let text = include_str!("place_kept.wgsl");
    per_element("place_kept", text, &[], buffers, count, 2 + 2 * search(count))
}

/// Buffers: origins, old entries, seeds, entries.
#[must_use]
pub fn rearrange_program(count: usize, grown: GrownEntry) -> Program {
    let (seed, constant, factor) = match grown {
        GrownEntry::Constant(constant) => (0, constant, 0.0),
        GrownEntry::Copied => (1, 0, 0.0),
        GrownEntry::Scaled(factor) => (2, 0, factor),
    };
    let constants = [Constant::U32("SEED", seed)];
    let params = vec![count as u32, constant, word(factor)];
    let text = include_str!("rearrange.wgsl");
    let buffers = &[Read, Read, Read, ReadWrite];
    Program::new("rearrange", text, &constants, buffers, params, count.div_ceil(256))
        .doing(Work::new([count], 0, 3 * count))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    let mut programs = vec![
        slot_keys_program(9, true),
        mark_program(9),
        candidate_keys_program(9),
        want_program(9, 0),
        settle_program(9),
        momentum_keys_program(3, 64),
        exclude_program(9, &(0..9)),
        place_kept_program(9),
    ];
    for grown in [GrownEntry::Constant(1), GrownEntry::Copied, GrownEntry::Scaled(2.0)] {
        programs.push(rearrange_program(9, grown));
    }
    programs
}
