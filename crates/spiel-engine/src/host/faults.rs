//! What went wrong inside a call: panics are kept for the reply and never printed.

use std::fmt::{self, Display, Formatter};
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// Panics, and the calls under way on any thread. Outside calls a panic is somebody else's.
struct Kept {
    calls: usize,
    faults: Vec<Fault>,
}

/// A panic's text and place.
struct Fault {
    text: String,
    place: Option<String>,
}

/// Stands for a panic that says nothing.
const UNKNOWN: &str = "unknown cause";

static KEPT: Mutex<Kept> = Mutex::new(Kept { calls: 0, faults: Vec::new() });
static HOOK: Once = Once::new();

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Display for Fault {
    fn fmt(&self, out: &mut Formatter) -> fmt::Result {
        match &self.place {
            Some(place) => write!(out, "{} ({place})", self.text),
            None => out.write_str(&self.text),
        }
    }
}

/// While this lives, panics are kept instead of printed.
pub(super) struct Watch;

impl Watch {
    pub(super) fn begin() -> Self {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !keep(info) {
                    before(info);
                }
            }));
        });
        kept().calls += 1;
        Self
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut kept = kept();
        kept.calls -= 1;
        // Of several parts of a call that panic, one is told.
        if kept.calls == 0 {
            kept.faults.clear();
        }
    }
}

/// Keeps a panic if it may be a call's.
fn keep(info: &PanicHookInfo) -> bool {
    let mut kept = kept();
    if kept.calls > 0 {
        let text = info.payload_as_str().unwrap_or(UNKNOWN).to_owned();
        kept.faults.push(Fault { text, place: info.location().map(ToString::to_string) });
    }
    kept.calls > 0
}

/// The text and place of the panic that ended a call with this payload.
///
/// The payload has the text, so it is this call's whatever ends beside it; only the place is looked up, by the text,
/// since the thread that panicked need not be the one that called.
#[cfg(feature = "native")]
pub(super) fn describe(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or(UNKNOWN);
    let mut kept = kept();
    let place = kept.faults.iter().rposition(|fault| fault.text == text);
    place.map_or_else(|| text.to_owned(), |place| kept.faults.remove(place).to_string())
}

/// The last panic's text and place, once: after a trap nothing else is left of it.
#[cfg(feature = "wasm")]
pub(super) fn take() -> Option<String> {
    kept().faults.pop().map(|fault| fault.to_string())
}
