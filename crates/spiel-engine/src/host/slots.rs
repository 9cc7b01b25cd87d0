//! The engines of a native process, by id. A panic poisons its engine.

use super::caught::caught;
use super::{encode, failure};
use crate::engine::Engine;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// An engine and the reply that waits to be fetched.
#[derive(Default)]
pub(super) struct Slot {
    engine: Engine,
    reply: Option<(String, Vec<u8>)>,
    poisoned: bool,
}

static ENGINES: LazyLock<Mutex<HashMap<u64, Arc<Mutex<Slot>>>>> = LazyLock::new(Mutex::default);
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

fn engines() -> std::sync::MutexGuard<'static, HashMap<u64, Arc<Mutex<Slot>>>> {
    ENGINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why an engine cannot be used now; the numbers are part of the ABI.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal {
    UnknownEngine = 1,
    Busy = 2,
}

/// Makes an engine and returns its id.
pub(super) fn open() -> u64 {
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    engines().insert(id, Arc::default());
    id
}

/// Forgets an engine; a call that is still running finishes first.
pub(super) fn close(id: u64) {
    engines().remove(&id);
}

/// Runs `work` on an engine that no other call is using.
pub(super) fn with<T>(id: u64, work: impl FnOnce(&mut Slot) -> T) -> Result<T, Refusal> {
    let slot = engines().get(&id).cloned().ok_or(Refusal::UnknownEngine)?;
    let mut slot = slot.try_lock().map_err(|_| Refusal::Busy)?;
    Ok(work(&mut slot))
}

impl Slot {
    /// Carries out a request, keeps its reply and returns the sizes of the reply's header and payload.
    pub(super) fn call(&mut self, header: &[u8], payload: &[u8]) -> [u64; 2] {
        let (header, payload) = self.respond(header, payload);
        let sizes = [header.len() as u64, payload.len() as u64];
        self.reply = Some((header, payload));
        sizes
    }

    fn respond(&mut self, header: &[u8], payload: &[u8]) -> (String, Vec<u8>) {
        if self.poisoned {
            return (failure("The engine failed before and takes no more requests"), Vec::new());
        }
        let pool = self.engine.pool();
        let engine = &mut self.engine;
        let mut work = || pollster::block_on(engine.handle(header, payload));
        let answer = caught(|| match &pool {
            Some(pool) => pool.install(work),
            None => work(),
        });
        match answer {
            Ok((reply, payload)) => (encode(&reply), payload),
            Err(cause) => {
                self.poisoned = true;
                (failure(&format!("The engine failed: {cause}")), Vec::new())
            }
        }
    }

    /// Hands the last reply over.
    pub(super) fn take_reply(&mut self) -> (String, Vec<u8>) {
        self.reply.take().unwrap_or_default()
    }
}
