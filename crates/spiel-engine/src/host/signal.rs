//! How a call under way tells the WASM host that polling it leads further.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Whether a call has been woken, and who waits for that.
#[derive(Default)]
pub(super) struct Signal {
    state: Mutex<(bool, Option<Waker>)>,
}

impl Signal {
    /// Ready once the call has been woken; wakes `context`'s waiter otherwise.
    pub(super) fn poll(&self, context: &Context) -> Poll<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.0) {
            return Poll::Ready(());
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        if let Some(waiting) = state.1.take() {
            waiting.wake();
        }
    }
}
