//! Splits work over threads at places where no sum is cut, or that depend on shapes only, so that results never depend on
//! the thread count.

use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Elements that one task of an element-wise operation takes: large against the cost of a task, small against a row.
pub const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// Threads that share the work from here.
#[must_use]
pub fn threads() -> usize {
    rayon::current_num_threads()
}

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
    data.par_chunks_mut(size).enumerate().for_each(|(index, chunk)| work(index, chunk));
}

/// Calls `work(index, a_chunk, b_chunk)` for matching chunks of two slices.
pub fn chunks_mut2<A: Send, B: Send>(
    (a, a_size): (&mut [A], usize),
    (b, b_size): (&mut [B], usize),
    work: impl Fn(usize, &mut [A], &mut [B]) + Sync + Send,
) {
    a.par_chunks_mut(a_size)
        .zip(b.par_chunks_mut(b_size))
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
    a.par_chunks_mut(a_size)
        .zip(b.par_chunks_mut(b_size))
        .zip(c.par_chunks_mut(c_size))
        .enumerate()
        .for_each(|(index, ((a, b), c))| work(index, a, b, c));
}

/// Calls `work` for every task.
pub fn for_each<T: Send>(tasks: Vec<T>, work: impl Fn(T) + Sync + Send) {
    tasks.into_par_iter().for_each(work);
}

/// Calls `work` for every task with one of the scratches, of which no two tasks share one at a time.
///
/// So no more tasks are under way than there are scratches, even where `work` splits itself and a thread that waits for
/// the parts takes up other work meanwhile.
pub fn for_each_with<T: Send, S: Send>(
    tasks: Vec<T>,
    scratches: &mut [S],
    work: impl Fn(T, &mut S) + Sync + Send,
) {
    let tasks = Mutex::new(tasks.into_iter());
    // The lock is given back before the task begins.
    let next = || tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
    chunks_mut(scratches, 1, |_, scratch| {
        while let Some(task) = next() {
            work(task, &mut scratch[0]);
        }
    });
}

/// Evaluates `work` for `0..count` and returns the results in order.
pub fn map<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    (0..count).into_par_iter().map(work).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_tasks_are_under_way_than_there_are_scratches() {
        let (under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut scratches = [0; 2];
        for_each_with((0..100).collect(), &mut scratches, |task: usize, done| {
            most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Waiting for these parts, a thread may take up whatever else there is.
            let parts = map(16, |part| (0..2000).fold(part, |sum, i| sum ^ (i * task)));
            under_way.fetch_sub(usize::from(parts.len() == 16), Ordering::SeqCst);
            *done += 1;
        });
        assert_eq!(scratches.iter().sum::<usize>(), 100);
        assert!(most.into_inner() <= scratches.len());
    }
}
