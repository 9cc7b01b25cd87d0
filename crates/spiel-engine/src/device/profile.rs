//! The rows of a profile while a device gathers them.

use crate::protocol::{ProfileRow, WeightFormat};
use spiel_kernels::program::Work;
use std::collections::HashMap;

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

/// Rows in the order of their first calls.
#[derive(Default)]
pub(super) struct ProfileTable {
    rows: Vec<Row>,
    by_key: HashMap<Key, usize>,
}

impl ProfileTable {
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
    pub(super) fn time(&mut self, number: usize, seconds: f64) {
        let row = &mut self.rows[number];
        row.timed_calls += 1;
        row.seconds += seconds;
    }

    /// The rows as the protocol has them.
    pub(super) fn rows(&self) -> Vec<ProfileRow> {
        self.rows.iter().map(Row::described).collect()
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

    #[test]
    fn calls_of_one_shape_share_a_row() {
        let mut table = ProfileTable::default();
        for tokens in [2, 3, 2] {
            let number = table.count("add", Some(Work::new([tokens, 4], 1, tokens)));
            table.time(number, 0.5);
        }
        table.count("copy", None);
        let rows = table.rows();
        assert_eq!(rows.len(), 3);
        assert_eq!((rows[0].shape.as_slice(), rows[0].calls), (&[2, 4][..], 2));
        assert_eq!(
            (rows[0].seconds, rows[0].flops, rows[0].bytes),
            (Some(1.0), Some(16.0), Some(16.0))
        );
        assert_eq!((rows[2].seconds, rows[2].flops), (None, None));
    }
}
