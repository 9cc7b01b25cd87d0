//! Memory that threads keep for what an operation needs for a while, so that no step allocates it anew.

use std::cell::Cell;

/// What a scratch is for.
#[derive(Clone, Copy)]
pub(crate) enum Scratch {
    /// Rows of A, packed.
    Left,
    /// Columns of B, packed.
    Right,
    /// What one of these is packed by.
    Between,
    /// A tile of a dense gradient.
    Tile,
    /// How fast a row of capped logits changes.
    Slopes,
}

thread_local! {
    /// One of each, as large as the largest that was wanted.
    static SCRATCH: [Cell<Vec<u32>>; 5] = const { [const { Cell::new(Vec::new()) }; 5] };
}

/// Frees what this thread keeps, where its end would not.
pub fn free_scratch() {
    SCRATCH.with(|scratch| scratch.iter().for_each(|kept| drop(kept.take())));
}

/// Runs `work` with a scratch of at least `size` words of this thread.
///
/// The scratch is taken and put back, so an operation that begins inside another has one of its own.
pub(crate) fn with_scratch<R>(
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
