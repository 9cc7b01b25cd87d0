//! A call whose panic is its result, for hosts that outlive it.

use super::faults;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`; a panic becomes its text and place, and is printed nowhere.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let _watch = faults::Watch::begin();
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| faults::describe(&*payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn a_panic_is_told_with_its_place_even_from_another_thread() {
        let place = format!("{}:{}", file!(), line!() + 1);
        let here = caught(|| panic!("number {}", 7)).map(|(): ()| ());
        assert!(here.unwrap_err().starts_with(&format!("number 7 ({place}:")));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let there = caught(|| pool.install(|| panic!("in a thread"))).map(|(): ()| ());
        assert!(there.unwrap_err().starts_with("in a thread ("));
        assert_eq!(caught(|| 3), Ok(3));
    }

    #[test]
    fn calls_that_panic_at_once_are_each_told_their_own_cause() {
        /// Waits, while a panic unwinds, until all have panicked.
        struct Together<'a>(&'a Barrier);
        impl Drop for Together<'_> {
            fn drop(&mut self) {
                self.0.wait();
            }
        }
        let both = Barrier::new(2);
        let fail = |number: u32| {
            let cause = caught(|| -> () {
                let _together = Together(&both);
                panic!("number {number}")
            });
            assert!(cause.unwrap_err().starts_with(&format!("number {number} (")));
        };
        std::thread::scope(|scope| {
            scope.spawn(|| fail(1));
            scope.spawn(|| fail(2));
        });
    }
}
