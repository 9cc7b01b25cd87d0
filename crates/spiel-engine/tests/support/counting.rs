//! An allocator that counts, for tests that are alone in their process, and what is asked of an engine in them.
#![expect(unsafe_code, reason = "an allocator that counts")]

use serde_json::{Value, json};
use spiel_engine::Engine;
use spiel_engine::protocol::{ModelPlan, Reply};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes that are allocated.
pub(crate) static LIVE: AtomicU64 = AtomicU64::new(0);
/// The most that were since this was last set.
pub(crate) static PEAK: AtomicU64 = AtomicU64::new(0);

/// Bytes of the largest allocation since this was last set.
pub(crate) static LARGEST: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: all is left to the system's allocator; counting touches no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size() as u64, Relaxed) + layout.size() as u64;
        PEAK.fetch_max(live, Relaxed);
        LARGEST.fetch_max(layout.size() as u64, Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: as above; the pointer came from `alloc`, thus from the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Sends a request that must succeed.
pub(crate) fn ask(engine: &mut Engine, request: &Value, payload: &[u8]) -> Reply {
    exchange(engine, request, payload).0
}

/// Sends a request that must succeed, and returns the payload of its reply too.
pub(crate) fn exchange(engine: &mut Engine, request: &Value, payload: &[u8]) -> (Reply, Vec<u8>) {
    let answer = pollster::block_on(engine.handle(request.to_string().as_bytes(), payload));
    assert!(!matches!(answer.0, Reply::Error(_)), "{request}: {:?}", answer.0);
    answer
}

/// An engine on two threads of the CPU. One serves a whole test: the threads of another would still be ending while it is
/// measured.
pub(crate) fn open() -> Engine {
    let mut engine = Engine::new();
    let open = json!({
        "op": "engineOpen", "device": "cpu", "threads": 2, "gpu": null, "allowSoftware": false,
    });
    ask(&mut engine, &open, &[]);
    engine
}

/// The plan that a reply is.
pub(crate) fn planned(reply: Reply) -> ModelPlan {
    match reply {
        Reply::ModelPlan(plan) => plan,
        reply => panic!("expected a plan, got {reply:?}"),
    }
}

/// Bytes allocated since there were `base`.
pub(crate) fn since(base: u64, counter: &AtomicU64) -> u64 {
    counter.load(Relaxed) - base
}
