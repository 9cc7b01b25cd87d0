//! What went wrong inside a call: panics are kept for the reply and never printed.

use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

/// Calls under way, on any thread; a panic outside them is somebody else's.
static CALLS: AtomicUsize = AtomicUsize::new(0);
/// The last panic of a call.
static LAST: Mutex<Option<String>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// While this lives, panics are kept instead of printed.
pub(super) struct Watch;

impl Watch {
    pub(super) fn begin() -> Self {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if CALLS.load(Ordering::SeqCst) == 0 {
                    before(info);
                } else {
                    *last() = Some(describe(info));
                }
            }));
        });
        CALLS.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        CALLS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The last panic's text and place, once.
pub(super) fn take() -> Option<String> {
    last().take()
}

fn last() -> std::sync::MutexGuard<'static, Option<String>> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner)
}

fn describe(info: &PanicHookInfo) -> String {
    let text = info.payload_as_str().unwrap_or("unknown cause");
    info.location().map_or_else(|| text.to_owned(), |place| format!("{text} ({place})"))
}
