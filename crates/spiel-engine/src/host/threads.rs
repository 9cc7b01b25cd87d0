//! The threads of a CPU device: rayon's, which the system runs, or workers do that the caller of a WebAssembly module starts.

#[cfg(feature = "wasm")]
use super::workers;
use crate::error::{EngineError, Result};
use rayon::ThreadPool;
#[cfg(not(feature = "wasm"))]
use rayon::ThreadPoolBuildError;
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

/// What a worker takes of the memory that all share before its thread runs: a stack of two MiB, and a little.
#[cfg(feature = "wasm")]
const START_BYTES: usize = (2 << 20) + (64 << 10);

/// Has workers started for as many threads, or as many as the host takes, or for none where it starts none.
///
/// # Errors
/// When the threads cannot be set up, or so many are asked for and do not start.
#[cfg(feature = "wasm")]
pub(crate) async fn start(threads: Option<u32>) -> Result<Pool> {
    let Some(workers) = workers::present() else { return Ok(None) };
    let count = threads.unwrap_or_else(|| workers.most());
    if count <= 1 {
        return Ok(None);
    }
    match (start_workers(&workers, count as usize).await, threads) {
        (Ok(pool), _) => Ok(Some(Arc::new(pool))),
        (Err(_), None) => Ok(None),
        (Err(problem), Some(_)) => Err(EngineError::DeviceUnavailable(format!(
            "Cannot start {count} threads of the WASM engine: {problem}; --threads 1 needs none"
        ))),
    }
}

/// Has a worker started for each thread; the error is what keeps one from running.
#[cfg(feature = "wasm")]
async fn start_workers(
    workers: &workers::Workers,
    count: usize,
) -> std::result::Result<ThreadPool, String> {
    // A worker that finds no room would trap with a lock that all engines share.
    if Vec::<u8>::new().try_reserve_exact(count * START_BYTES).is_err() {
        return Err("there is no memory for their stacks".to_owned());
    }
    let mut waiting = Vec::new();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .spawn_handler(|thread| {
            waiting.push(workers::address(thread));
            Ok(())
        })
        .build()
        .map_err(|error| error.to_string())?;
    match workers.start(wasm_bindgen::module(), wasm_bindgen::memory(), waiting).await {
        Ok(problem) => problem.as_string().map_or(Ok(pool), Err),
        Err(_) => Err("their workers failed".to_owned()),
    }
}

#[cfg(not(feature = "wasm"))]
fn refused(error: ThreadPoolBuildError) -> EngineError {
    EngineError::DeviceUnavailable(format!("Cannot start CPU threads: {error}"))
}
