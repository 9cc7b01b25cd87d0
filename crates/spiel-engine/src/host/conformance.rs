//! The class that `tests/conformance/` exports: the suite of the GPU against the CPU, driven as an engine's calls are.

use super::faults;
use super::signal::Signal;
use crate::device::{cases, open_gpus};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use wasm_bindgen::prelude::wasm_bindgen;

/// One case under way; a disagreement ends it by a trap, whose cause `takeFailure` tells.
#[wasm_bindgen]
pub struct Conformance {
    run: Pin<Box<dyn Future<Output = ()>>>,
    signal: Arc<Signal>,
}

#[wasm_bindgen]
impl Conformance {
    /// The names of all cases.
    #[must_use]
    pub fn names() -> Vec<String> {
        cases().into_iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// The case of this number, of those of [`Self::names`].
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(number: usize) -> Self {
        let run = Box::pin(async move {
            let (_, case) = cases()[number];
            let gpus = open_gpus().await.unwrap_or_else(|error| panic!("{error}"));
            case(&gpus).await;
        });
        Self { run, signal: Arc::default() }
    }

    /// Computes until the case has ended, which it returns, or the GPU must be waited for.
    pub fn poll(&mut self) -> bool {
        let _watch = faults::Watch::begin();
        let waker = Waker::from(Arc::clone(&self.signal));
        self.run.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
    }

    /// Resolves when polling again leads further.
    pub async fn woken(&self) {
        std::future::poll_fn(|context| self.signal.poll(context)).await;
    }
}
