//! Time that passes, by the host's clock.

#[cfg(not(target_arch = "wasm32"))]
use std::time::Instant;
#[cfg(all(target_arch = "wasm32", feature = "wasm"))]
use wasm_bindgen::prelude::wasm_bindgen;

/// Measures from when it was started.
pub(crate) struct Stopwatch {
    #[cfg(not(target_arch = "wasm32"))]
    begun: Instant,
    #[cfg(target_arch = "wasm32")]
    begun: f64,
}

#[cfg(not(target_arch = "wasm32"))]
impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now() }
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

#[cfg(all(target_arch = "wasm32", feature = "wasm"))]
#[wasm_bindgen]
extern "C" {
    /// Milliseconds since the calling thread began, for which workers have the same clock.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

#[cfg(all(target_arch = "wasm32", feature = "wasm"))]
impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { begun: performance_now() }
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        (performance_now() - self.begun) / 1000.0
    }
}
