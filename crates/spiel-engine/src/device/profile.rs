//! The rows of a profile while a device gathers them, and the last calls that they count.

use crate::protocol::{Profile, ProfileCall, ProfileRow, ProfileTotals, WeightFormat};
use spiel_kernels::program::Work;
use std::collections::{HashMap, VecDeque};

/// Calls that are kept one by one: a few steps of a model of a hundred operations per block, in about a megabyte.
const MOST_CALLS: usize = 1 << 14;

/// What rows are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    operation: &'static str,
    /// Absent where only calls are counted.
    work: Option<Work>,
}

/// One row.
struct Row {
    key: Key,
    calls: u32,
    timed_calls: u32,
    seconds: f64,
}

/// When a counted call ran.
pub(super) struct Timing {
    /// Its row's number.
    pub(super) row: usize,
    /// Which time that profiling was on.
    pub(super) period: u32,
    /// Seconds since the device's first timed call or before it.
    pub(super) start: f64,
    pub(super) seconds: f64,
}

/// Rows in the order of their first calls.
#[derive(Default)]
pub(super) struct ProfileTable {
    rows: Vec<Row>,
    by_key: HashMap<Key, usize>,
    calls: VecDeque<ProfileCall>,
    earlier_calls: u64,
    periods: u32,
}

impl ProfileTable {
    /// Begins the next time that profiling is on.
    pub(super) fn begin_period(&mut self) {
        self.periods += 1;
    }

    /// The time that profiling was last on, from 0.
    pub(super) fn period(&self) -> u32 {
        self.periods.saturating_sub(1)
    }

    /// Counts a call and returns its row's number.
    pub(super) fn count(&mut self, operation: &'static str, work: Option<Work>) -> usize {
        let key = Key { operation, work };
        let number = *self.by_key.entry(key).or_insert_with(|| {
            self.rows.push(Row { key, calls: 0, timed_calls: 0, seconds: 0.0 });
            self.rows.len() - 1
        });
        self.rows[number].calls += 1;
        number
    }

    /// Adds the time of one counted call.
    pub(super) fn time(&mut self, Timing { row: number, period, start, seconds }: Timing) {
        let row = &mut self.rows[number];
        row.timed_calls += 1;
        row.seconds += seconds;
        if self.calls.len() == MOST_CALLS {
            self.calls.pop_front();
            self.earlier_calls += 1;
        }
        self.calls.push_back(ProfileCall { row: number as u32, period, start, seconds });
    }

    /// All of it as the protocol has it.
    pub(super) fn into_profile(self, totals: ProfileTotals) -> Profile {
        Profile {
            operations: self.rows.iter().map(Row::described).collect(),
            totals,
            calls: self.calls.into(),
            earlier_calls: self.earlier_calls,
        }
    }
}

impl Row {
    fn described(&self) -> ProfileRow {
        let Key { operation, work } = self.key;
        let of_calls = |amount: u64| amount as f64 * f64::from(self.calls);
        let sizes = work.map_or([0; 3], |work| work.shape);
        ProfileRow {
            operation: operation.to_owned(),
            shape: sizes.into_iter().filter(|size| *size > 0).map(|size| size as u32).collect(),
            format: work.and_then(|work| work.format).map(WeightFormat::from),
            calls: self.calls,
            // Part of a row's time would pass for all of it.
            seconds: (self.timed_calls == self.calls).then_some(self.seconds),
            flops: work.map(|work| of_calls(work.flops)),
            bytes: work.map(|work| of_calls(work.bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(row: usize, start: f64) -> Timing {
        Timing { row, period: 0, start, seconds: 0.5 }
    }

    #[test]
    fn calls_of_one_shape_share_a_row() {
        let mut table = ProfileTable::default();
        for tokens in [2, 3, 2] {
            let number = table.count("add", Some(Work::new([tokens, 4], 1, tokens)));
            table.time(timing(number, 0.0));
        }
        table.count("copy", None);
        let rows = table.into_profile(ProfileTotals::default()).operations;
        assert_eq!(rows.len(), 3);
        assert_eq!((rows[0].shape.as_slice(), rows[0].calls), (&[2, 4][..], 2));
        assert_eq!(
            (rows[0].seconds, rows[0].flops, rows[0].bytes),
            (Some(1.0), Some(16.0), Some(16.0))
        );
        assert_eq!((rows[2].seconds, rows[2].flops), (None, None));
    }

    #[test]
    fn the_last_calls_are_kept_one_by_one() {
        let mut table = ProfileTable::default();
        for call in 0..MOST_CALLS + 3 {
            let row = table.count("add", None);
            table.time(timing(row, call as f64));
        }
        let profile = table.into_profile(ProfileTotals::default());
        assert_eq!((profile.calls.len(), profile.earlier_calls), (MOST_CALLS, 3));
        assert_eq!(profile.calls[0].start, 3.0);
        assert_eq!(profile.operations[0].calls as usize, MOST_CALLS + 3);
    }
}
