//! Profiling: operations run at once, so their time is the host's.

use crate::device::profile::{ProfileTable, Timing};
use crate::host::clock::Stopwatch;
use crate::protocol::{Profile, ProfileTotals};
use spiel_kernels::program::Work;
use std::cell::{Cell, RefCell};

/// What has been gathered since the last reading.
#[derive(Default)]
pub(super) struct Profiler {
    on: Cell<bool>,
    gathered: RefCell<Gathered>,
}

#[derive(Default)]
struct Gathered {
    table: ProfileTable,
    /// Runs since profiling was first on.
    clock: Option<Stopwatch>,
}

impl Profiler {
    pub(super) fn switch(&self, on: bool) {
        if on && !self.on.get() {
            let Gathered { table, clock } = &mut *self.gathered.borrow_mut();
            table.begin_period();
            clock.get_or_insert_with(Stopwatch::start);
        }
        self.on.set(on);
    }

    /// Runs an operation, and counts and times it while profiling is on.
    ///
    /// `work` is what it has to do, where that is known; it is asked for only then.
    pub(super) fn time<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> Option<Work>,
        run: impl FnOnce() -> T,
    ) -> T {
        if !self.on.get() {
            return run();
        }
        let start = self.gathered.borrow().clock.as_ref().map_or(0.0, Stopwatch::seconds);
        let begun = Stopwatch::start();
        let result = run();
        let seconds = begun.seconds();
        let table = &mut self.gathered.borrow_mut().table;
        let row = table.count(operation, work());
        table.time(Timing { row, period: table.period(), start, seconds });
        result
    }

    /// What was gathered; profiling is then off.
    pub(super) fn take(&self) -> Profile {
        self.switch(false);
        let Gathered { table, .. } = self.gathered.take();
        let profile = table.into_profile(ProfileTotals::default());
        let dispatches = profile.operations.iter().map(|row| u64::from(row.calls)).sum();
        Profile { totals: ProfileTotals { dispatches, ..profile.totals }, ..profile }
    }
}
