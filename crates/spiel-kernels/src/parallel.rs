//! Splits work over threads at places that depend on shapes only, so results never depend on the thread count.

#[cfg(feature = "threads")]
use rayon::prelude::*;

/// Elements that one task of an element-wise operation takes: large against the cost of a task, small against a row.
pub const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// The number of rows of `width` elements that make up one task, at least one.
#[must_use]
pub fn rows_per_task(width: usize) -> usize {
    (ELEMENTS_PER_TASK / width.max(1)).max(1)
}

/// Calls `work(index, chunk)` for every chunk of `size` elements of `data`; the last chunk may be shorter.
pub fn chunks_mut<T: Send>(
    data: &mut [T],
    size: usize,
    work: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    #[cfg(feature = "threads")]
    data.par_chunks_mut(size).enumerate().for_each(|(index, chunk)| work(index, chunk));
    #[cfg(not(feature = "threads"))]
    data.chunks_mut(size).enumerate().for_each(|(index, chunk)| work(index, chunk));
}

/// Calls `work(index, a_chunk, b_chunk)` for matching chunks of two slices.
pub fn chunks_mut2<A: Send, B: Send>(
    (a, a_size): (&mut [A], usize),
    (b, b_size): (&mut [B], usize),
    work: impl Fn(usize, &mut [A], &mut [B]) + Sync + Send,
) {
    #[cfg(feature = "threads")]
    a.par_chunks_mut(a_size)
        .zip(b.par_chunks_mut(b_size))
        .enumerate()
        .for_each(|(index, (a, b))| work(index, a, b));
    #[cfg(not(feature = "threads"))]
    a.chunks_mut(a_size)
        .zip(b.chunks_mut(b_size))
        .enumerate()
        .for_each(|(index, (a, b))| work(index, a, b));
}

/// Calls `work(index, a_chunk, b_chunk, c_chunk)` for matching chunks of three slices.
pub fn chunks_mut3<A: Send, B: Send, C: Send>(
    (a, a_size): (&mut [A], usize),
    (b, b_size): (&mut [B], usize),
    (c, c_size): (&mut [C], usize),
    work: impl Fn(usize, &mut [A], &mut [B], &mut [C]) + Sync + Send,
) {
    #[cfg(feature = "threads")]
    a.par_chunks_mut(a_size)
        .zip(b.par_chunks_mut(b_size))
        .zip(c.par_chunks_mut(c_size))
        .enumerate()
        .for_each(|(index, ((a, b), c))| work(index, a, b, c));
    #[cfg(not(feature = "threads"))]
    a.chunks_mut(a_size)
        .zip(b.chunks_mut(b_size))
        .zip(c.chunks_mut(c_size))
        .enumerate()
        .for_each(|(index, ((a, b), c))| work(index, a, b, c));
}

/// Calls `work` for every task.
pub fn for_each<T: Send>(tasks: Vec<T>, work: impl Fn(T) + Sync + Send) {
    #[cfg(feature = "threads")]
    tasks.into_par_iter().for_each(work);
    #[cfg(not(feature = "threads"))]
    tasks.into_iter().for_each(work);
}

/// Evaluates `work` for `0..count` and returns the results in order.
pub fn map<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    #[cfg(feature = "threads")]
    return (0..count).into_par_iter().map(work).collect();
    #[cfg(not(feature = "threads"))]
    return (0..count).map(work).collect();
}
