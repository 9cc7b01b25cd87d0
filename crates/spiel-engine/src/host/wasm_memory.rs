//! The allocator of a WebAssembly module. It takes all memory before there are threads, and remembers what it refused: a
//! failed allocation ends in a trap that says nothing.
#![expect(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a page of memory.
const PAGE: usize = 64 * 1024;

/// Bytes of the last allocation that failed; 0 when none did.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Remembering = Remembering;

struct Remembering;

/// Has the memory grow to what the module may have, once, and leaves that to the allocator, which gives nothing back.
///
/// A thread that has not heard yet of the memory's growth would trap where another one allocates. What nobody has written
/// to has no memory behind it.
pub(super) fn take_all() {
    static TAKEN: Once = Once::new();
    TAKEN.call_once(|| {
        let mut all = Vec::new();
        // Half of the addresses is the most that one allocation may have.
        let mut bytes = isize::MAX as usize / PAGE * PAGE;
        while bytes >= PAGE {
            let Ok(layout) = Layout::from_size_align(bytes, PAGE) else { break };
            // SAFETY: the layout has a size.
            let pointer = unsafe { System.alloc(layout) };
            if pointer.is_null() {
                bytes /= 2;
            } else {
                all.push((pointer, layout));
            }
        }
        for (pointer, layout) in all {
            // SAFETY: the allocator has just given it, for this layout.
            unsafe { System.dealloc(pointer, layout) };
        }
    });
}

/// The bytes of the last allocation that failed, once.
pub(super) fn take_refused() -> Option<usize> {
    Some(REFUSED.swap(0, Ordering::Relaxed)).filter(|bytes| *bytes > 0)
}

fn remembered(pointer: *mut u8, bytes: usize) -> *mut u8 {
    if pointer.is_null() {
        REFUSED.store(bytes, Ordering::Relaxed);
    }
    pointer
}

// SAFETY: every function forwards its arguments to the system's allocator and returns what that returned.
unsafe impl GlobalAlloc for Remembering {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of `System`.
        remembered(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        remembered(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        remembered(unsafe { System.realloc(pointer, layout, size) }, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
