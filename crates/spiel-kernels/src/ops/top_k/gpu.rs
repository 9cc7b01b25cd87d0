use crate::assemble::Constant;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work};

/// Words of the counts of one digit.
pub const DIGITS: usize = 2048;
/// Keys of a run, whose chosen ones one workgroup writes: a word of bits an invocation.
pub const RUN: usize = 8192;
/// Words of a selection's state: threshold, wanted, chosen, unused.
pub const SELECTION: usize = 4;
/// Shift of each pass's digit, from the highest.
pub const SHIFTS: [u32; 3] = [21, 10, 0];

/// What the keys of a selection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Words, of which 0 is out of the selection.
    Words,
    /// Floats, ranked by size.
    Magnitudes,
}

fn constant(keys: Keys) -> Constant {
    Constant::Bool("MAGNITUDE", keys == Keys::Magnitudes)
}

/// Buffers: keys, selection, digits.
#[must_use]
pub fn count_digits_program(keys: Keys, count: usize, shift: u32) -> Program {
    // The bits of the passes before this one are decided.
    let before = SHIFTS.into_iter().rfind(|other| *other > shift);
    let decided = before.map_or(0, |shift| u32::MAX << shift);
    let params = vec![count as u32, shift, decided];
    let text = include_str!("count_digits.wgsl");
    let buffers = &[Read, Read, ReadWrite];
    Program::new("count_digits", text, &[constant(keys)], buffers, params, count.div_ceil(4096))
        .doing(Work::new([count], 0, count + 2 * DIGITS))
}

/// Buffers: digits, selection.
#[must_use]
pub fn choose_digit_program(shift: u32) -> Program {
    let text = include_str!("choose_digit.wgsl");
    Program::new("choose_digit", text, &[], &[ReadWrite, ReadWrite], vec![shift], 1)
        .doing(Work::new([DIGITS], 0, 2 * DIGITS))
}

/// Of the keys from index `first` on, where a run begins. Buffers: keys, selection, runs of all keys `[_, 2]`.
#[must_use]
pub fn count_chosen_program(keys: Keys, count: usize, first: usize) -> Program {
    let text = include_str!("count_chosen.wgsl");
    let (buffers, params) = (&[Read, Read, ReadWrite], vec![count as u32, first as u32]);
    let runs = count.div_ceil(RUN);
    Program::new("count_chosen", text, &[constant(keys)], buffers, params, runs).doing(Work::new(
        [count],
        0,
        count + 2 * runs,
    ))
}

/// Buffers: selection, runs.
#[must_use]
pub fn place_runs_program(runs: usize) -> Program {
    let text = include_str!("place_runs.wgsl");
    Program::new("place_runs", text, &[], &[Read, ReadWrite], vec![runs as u32], 1)
        .doing(Work::new([runs], 0, 4 * runs))
}

/// Of the keys from index `first` on, where a run begins. Buffers: keys, selection, runs of all keys, chosen.
#[must_use]
pub fn write_chosen_program(keys: Keys, count: usize, first: usize) -> Program {
    let text = include_str!("write_chosen.wgsl");
    let (buffers, params) = (&[Read, Read, Read, ReadWrite], vec![count as u32, first as u32]);
    let runs = count.div_ceil(RUN);
    Program::new("write_chosen", text, &[constant(keys)], buffers, params, runs).doing(Work::new(
        [count],
        0,
        count + 2 * runs,
    ))
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    let mut programs = vec![choose_digit_program(10), place_runs_program(9)];
    for keys in [Keys::Words, Keys::Magnitudes] {
        programs.push(count_digits_program(keys, 9, 0));
        programs.push(count_chosen_program(keys, 9, 0));
        programs.push(write_chosen_program(keys, 9, 0));
    }
    programs
}
