//! How JavaScript starts workers for an engine's threads, and what they call.
#![expect(unreachable_pub, reason = "wasm-bindgen exports what is public here")]
#![expect(unsafe_code, reason = "a thread crosses to its worker as an address")]

use rayon::ThreadBuilder;
use std::cell::RefCell;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(typescript_custom_section)]
const WORKERS: &str = r"
/** Starts workers for an engine's threads. */
export interface Workers {
    /** Threads of an engine that is not told how many. */
    readonly most: number;
    /**
     * Starts a worker for each thread, which instantiates the module on the memory and calls `runThread`. Resolves with
     * what keeps one of them from running, if anything does.
     */
    start(
        module: WebAssembly.Module,
        memory: WebAssembly.Memory,
        threads: Uint32Array,
    ): Promise<string | undefined>;
}";

#[wasm_bindgen]
extern "C" {
    /// Starts workers for an engine's threads.
    #[wasm_bindgen(typescript_type = "Workers")]
    #[derive(Clone)]
    pub type Workers;

    /// Threads of an engine that is not told how many.
    #[wasm_bindgen(method, getter)]
    pub(super) fn most(this: &Workers) -> u32;

    /// Starts a worker for each of the threads; a string is what keeps one from running.
    #[wasm_bindgen(method, catch)]
    pub(super) async fn start(
        this: &Workers,
        module: JsValue,
        memory: JsValue,
        threads: Vec<u32>,
    ) -> Result<JsValue, JsValue>;
}

thread_local! {
    /// Those of the engine that is being polled.
    static PRESENT: RefCell<Option<Workers>> = const { RefCell::new(None) };
}

/// Polls an engine that has threads started by `workers`.
pub(super) fn with<T>(workers: &Workers, poll: impl FnOnce() -> T) -> T {
    PRESENT.set(Some(workers.clone()));
    let result = poll();
    PRESENT.set(None);
    result
}

pub(super) fn present() -> Option<Workers> {
    PRESENT.with_borrow(Clone::clone)
}

/// What [`run`] takes.
pub(super) fn address(thread: ThreadBuilder) -> u32 {
    Box::into_raw(Box::new(thread)) as u32
}

/// Runs the thread at this address until its engine is freed. A worker calls it, once for each thread.
#[wasm_bindgen(js_name = runThread)]
pub fn run(thread: u32) {
    // SAFETY: the address is one that `address` gave away, and no other worker has it.
    let thread = unsafe { Box::from_raw(thread as *mut ThreadBuilder) };
    thread.run();
    // WebAssembly ends no thread, and so frees nothing of what is a thread's own.
    spiel_kernels::free_scratch();
}
