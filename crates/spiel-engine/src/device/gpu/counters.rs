//! What a device has been asked to do.

use std::cell::Cell;

/// Counts since the device was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Programs recorded.
    pub(crate) dispatches: u64,
    /// Recordings submitted.
    pub(crate) submissions: u64,
    /// Times that the host waited for memory.
    pub(crate) read_backs: u64,
    /// Bytes read back.
    pub(crate) read_bytes: u64,
    /// Bytes of the largest buffer that was read back through.
    pub(crate) largest_staging: u64,
    /// Bytes written by the host.
    pub(crate) written_bytes: u64,
    /// Buffers made.
    pub(crate) buffers: u64,
    /// Bind groups made.
    pub(crate) bind_groups: u64,
    /// Pipelines made.
    pub(crate) pipelines: u64,
}

/// Changes what is counted.
pub(super) fn count(counters: &Cell<Counters>, change: impl FnOnce(&mut Counters)) {
    let mut now = counters.get();
    change(&mut now);
    counters.set(now);
}
