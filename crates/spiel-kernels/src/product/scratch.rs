//! Memory that threads keep for what they pack.

use std::cell::Cell;

/// What a scratch is for.
#[derive(Clone, Copy)]
pub(super) enum Scratch {
    /// Rows of A, packed.
    Left,
    /// Columns of B, packed.
    Right,
    /// What one of these is packed by.
    Between,
}

thread_local! {
    /// One of each, kept so that no packing allocates once the largest has run.
    static SCRATCH: [Cell<Vec<u32>>; 3] = const { [const { Cell::new(Vec::new()) }; 3] };
}

/// Frees the scratches of this thread.
pub(super) fn free_scratch() {
    SCRATCH.with(|scratch| scratch.iter().for_each(|kept| drop(kept.take())));
}

/// Runs `work` with a scratch of at least `size` words of this thread.
///
/// The scratch is taken and put back, so a product that begins inside another has one of its own.
pub(super) fn with_scratch<R>(
    scratch: Scratch,
    size: usize,
    work: impl FnOnce(&mut [u32]) -> R,
) -> R {
    let which = scratch as usize;
    let mut words = SCRATCH.with(|scratch| scratch[which].take());
    if words.len() < size {
        words.resize(size, 0);
    }
    let result = work(&mut words[..size]);
    SCRATCH.with(|kept| kept[which].set(words));
    result
}
