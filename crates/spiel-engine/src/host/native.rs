//! The C ABI for `Deno.dlopen`: integers and buffers only, so that a permission scoped to this library suffices.
//!
//! Engines are named by ids, never by addresses. A call and the fetching of its reply are separate, because the
//! caller must allocate the reply's buffers.
#![expect(unsafe_code, reason = "a C ABI over raw buffers")]

use super::slots::{self, Refusal};
use super::version;

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
    slots::open()
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
    status(slots::with(id, |slot| slot.call(header, payload)).map(|[header, payload]| {
        // SAFETY: the caller gives room for two u64; alignment is not assumed.
        unsafe {
            sizes.write_unaligned(header);
            sizes.add(1).write_unaligned(payload);
        }
    }))
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
    status(slots::with(id, slots::Slot::take_reply).map(|(text, bytes)| {
        // SAFETY: the caller's buffers have these lengths, and no more is written.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), header, text.len().min(header_length));
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), payload, bytes.len().min(payload_length));
        }
    }))
}

/// Frees an engine; a call that is still running finishes first.
#[unsafe(no_mangle)]
pub(super) extern "C" fn spiel_free(id: u64) {
    slots::close(id);
}

/// 0, or the number of the refusal.
fn status(result: Result<(), Refusal>) -> i32 {
    result.map_or_else(|refusal| refusal as i32, |()| 0)
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
