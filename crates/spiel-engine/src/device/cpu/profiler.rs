//! Profiling: operations run at once, so their time is the host's.

use crate::device::profile::ProfileTable;
use crate::host::clock::Stopwatch;
use crate::protocol::{Profile, ProfileTotals};
use spiel_kernels::program::Work;
use std::cell::{Cell, RefCell};

/// What has been gathered since the last reading.
#[derive(Default)]
pub(super) struct Profiler {
    on: Cell<bool>,
    table: RefCell<ProfileTable>,
}

impl Profiler {
    pub(super) fn switch(&self, on: bool) {
        self.on.set(on);
    }

    /// Runs an operation, and counts and times it while profiling is on.
    ///
    /// `work` is what it has to do, where that is known.
    pub(super) fn time<T>(
        &self,
        operation: &'static str,
        work: Option<Work>,
        run: impl FnOnce() -> T,
    ) -> T {
        if !self.on.get() {
            return run();
        }
        let begun = Stopwatch::start();
        let result = run();
        let seconds = begun.seconds();
        let table = &mut *self.table.borrow_mut();
        let row = table.count(operation, work);
        table.time(row, seconds);
        result
    }

    /// What was gathered; profiling is then off.
    pub(super) fn take(&self) -> Profile {
        self.switch(false);
        let operations = self.table.take().rows();
        let dispatches = operations.iter().map(|row| u64::from(row.calls)).sum();
        Profile { operations, totals: ProfileTotals { dispatches, ..ProfileTotals::default() } }
    }
}
