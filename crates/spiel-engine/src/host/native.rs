//! The C ABI for `Deno.dlopen`: integers and buffers only, so that a permission scoped to this library suffices.
//!
//! Engines are named by ids, never by addresses. A call and the fetching of its reply are separate, because the
//! caller must allocate the reply's buffers. A panic is caught here and poisons its engine.
#![expect(unsafe_code, reason = "a C ABI over raw buffers")]

use super::{encode, failure, version};
use crate::engine::Engine;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

const OK: i32 = 0;
const UNKNOWN_ENGINE: i32 = 1;
const BUSY: i32 = 2;

#[derive(Default)]
struct Slot {
    engine: Engine,
    reply: Option<(String, Vec<u8>)>,
    poisoned: bool,
}

static ENGINES: LazyLock<Mutex<HashMap<u64, Arc<Mutex<Slot>>>>> = LazyLock::new(Mutex::default);
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

fn engines() -> std::sync::MutexGuard<'static, HashMap<u64, Arc<Mutex<Slot>>>> {
    ENGINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` on an engine that no other call is using.
fn with_slot(id: u64, work: impl FnOnce(&mut Slot)) -> i32 {
    let Some(slot) = engines().get(&id).cloned() else {
        return UNKNOWN_ENGINE;
    };
    let Ok(mut slot) = slot.try_lock() else {
        return BUSY;
    };
    work(&mut slot);
    OK
}

/// Copies `{"version", "protocol"}` to `out` and returns its whole length.
///
/// # Safety
/// `out` must be writable for `capacity` bytes.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn spiel_version(out: *mut u8, capacity: usize) -> usize {
    let text = version();
    // SAFETY: the caller gives a buffer of `capacity` bytes, and no more are written.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), out, text.len().min(capacity)) };
    text.len()
}

/// Makes an engine and returns its id.
#[unsafe(no_mangle)]
pub(super) extern "C" fn spiel_new() -> u64 {
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    engines().insert(id, Arc::default());
    id
}

/// Carries out a request and writes the sizes of its reply's header and payload.
///
/// # Safety
/// `header` and `payload` must be readable for their lengths, and `sizes` writable for two u64, until this returns.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn spiel_call(
    id: u64,
    header: *const u8,
    header_length: usize,
    payload: *const u8,
    payload_length: usize,
    sizes: *mut u64,
) -> i32 {
    // SAFETY: the caller keeps both buffers alive and unchanged until this returns.
    let (header, payload) =
        unsafe { (bytes(header, header_length), bytes(payload, payload_length)) };
    with_slot(id, |slot| {
        let reply = respond(slot, header, payload);
        // SAFETY: the caller gives room for two u64; alignment is not assumed.
        unsafe {
            sizes.write_unaligned(reply.0.len() as u64);
            sizes.add(1).write_unaligned(reply.1.len() as u64);
        }
        slot.reply = Some(reply);
    })
}

fn respond(slot: &mut Slot, header: &[u8], payload: &[u8]) -> (String, Vec<u8>) {
    if slot.poisoned {
        return (
            failure("The engine failed before and takes no more requests"),
            Vec::new(),
        );
    }
    let work = AssertUnwindSafe(|| pollster::block_on(slot.engine.handle(header, payload)));
    match catch_unwind(work) {
        Ok((reply, payload)) => (encode(&reply), payload),
        Err(panic) => {
            slot.poisoned = true;
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("unknown cause");
            (failure(&format!("The engine failed: {text}")), Vec::new())
        }
    }
}

/// Copies the last call's reply out and forgets it.
///
/// # Safety
/// `header` and `payload` must be writable for their lengths.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn spiel_reply(
    id: u64,
    header: *mut u8,
    header_length: usize,
    payload: *mut u8,
    payload_length: usize,
) -> i32 {
    with_slot(id, |slot| {
        let Some((text, bytes)) = slot.reply.take() else {
            return;
        };
        // SAFETY: the caller's buffers have these lengths, and no more is written.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), header, text.len().min(header_length));
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), payload, bytes.len().min(payload_length));
        }
    })
}

/// Frees an engine; a call that is still running finishes first.
#[unsafe(no_mangle)]
pub(super) extern "C" fn spiel_free(id: u64) {
    engines().remove(&id);
}

/// A slice of a foreign buffer, which may be null when empty.
///
/// # Safety
/// `data` must be readable for `length` bytes for as long as the slice lives.
unsafe fn bytes<'a>(data: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: promised by the caller.
    unsafe { std::slice::from_raw_parts(data, length) }
}
