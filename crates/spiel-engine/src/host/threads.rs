//! The threads of a CPU device: rayon's, which the system runs, or workers do that the caller of a WebAssembly module starts.

#[cfg(feature = "wasm")]
use super::workers;
use crate::error::{EngineError, Result};
use rayon::{ThreadPool, ThreadPoolBuildError};
use std::sync::Arc;

/// Threads that share work; absent where all is done on the calling one.
pub(crate) type Pool = Option<Arc<ThreadPool>>;

/// Starts as many threads, or one per core.
///
/// # Errors
/// When the system starts none.
#[cfg(not(feature = "wasm"))]
#[expect(clippy::unused_async, reason = "one signature for all hosts")]
pub(crate) async fn start(threads: Option<u32>) -> Result<Pool> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.map_or(0, |threads| threads as usize))
        .thread_name(|index| format!("spiel-{index}"))
        .build();
    pool.map(|pool| Some(Arc::new(pool))).map_err(refused)
}

/// Has workers started for as many threads, or as many as the host takes; there are none where one thread is asked for
/// or the workers do not start.
///
/// # Errors
/// When the threads cannot be set up.
#[cfg(feature = "wasm")]
pub(crate) async fn start(threads: Option<u32>) -> Result<Pool> {
    let Some(workers) = workers::present() else { return Ok(None) };
    let threads = threads.unwrap_or_else(|| workers.most());
    if threads <= 1 {
        return Ok(None);
    }
    let mut waiting = Vec::new();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads as usize)
        .spawn_handler(|thread| {
            waiting.push(workers::address(thread));
            Ok(())
        })
        .build()
        .map_err(refused)?;
    let started = workers.start(wasm_bindgen::module(), wasm_bindgen::memory(), waiting).await;
    Ok(started.is_ok().then(|| Arc::new(pool)))
}

fn refused(error: ThreadPoolBuildError) -> EngineError {
    EngineError::DeviceUnavailable(format!("Cannot start CPU threads: {error}"))
}
