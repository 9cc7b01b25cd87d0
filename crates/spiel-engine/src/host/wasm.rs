//! The wasm-bindgen class that `lib/` exports.
//!
//! A fault ends a WebAssembly call by a trap, which reaches the caller only out of a call that it made itself. So the
//! caller drives: it starts a request, polls it, and waits in between for as long as the device asks. What its own workers
//! meet on an engine's threads, they tell it; `takeFailure` knows the cause either way.
#![expect(unreachable_pub, reason = "wasm-bindgen exports what is public here")]

use super::signal::Signal;
use super::workers::{self, Workers};
use super::{encode, faults, version, wasm_memory};
use crate::engine::{Answer, Engine};
use crate::protocol::{ErrorCode, ErrorInfo, Reply};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wasm_bindgen::prelude::wasm_bindgen;

/// `{"version", "protocol"}` of this build.
#[wasm_bindgen(js_name = version)]
#[must_use]
pub fn wasm_version() -> String {
    version()
}

/// After a trap, the header of the reply that tells its cause, if it is known.
#[wasm_bindgen(js_name = takeFailure)]
#[must_use]
pub fn wasm_failure() -> Option<String> {
    let (code, message) = match (faults::take(), wasm_memory::take_refused()) {
        (Some(cause), _) => (ErrorCode::Internal, format!("The engine failed: {cause}")),
        (None, Some(bytes)) => {
            (ErrorCode::OutOfMemory, format!("Cannot allocate {bytes} bytes of WebAssembly memory"))
        }
        (None, None) => return None,
    };
    Some(encode(&Reply::Error(ErrorInfo { code, message })))
}

/// A request under way, which gives its engine back.
type Call = Pin<Box<dyn Future<Output = (Engine, Answer)>>>;

/// An engine inside a WebAssembly module.
#[wasm_bindgen]
pub struct WasmEngine {
    /// Absent during a call, and for good when one ended by a trap.
    engine: Option<Engine>,
    call: Option<Call>,
    signal: Arc<Signal>,
    workers: Workers,
}

/// A reply's header and payload.
#[wasm_bindgen]
pub struct WasmReply {
    header: String,
    payload: Vec<u8>,
}

#[wasm_bindgen]
impl WasmEngine {
    /// An engine that waits for `engineOpen`; its CPU device computes on threads of these workers.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(workers: Workers) -> Self {
        wasm_memory::take_all();
        Self { engine: Some(Engine::new()), call: None, signal: Arc::default(), workers }
    }

    /// Starts a request, which [`Self::poll`] carries out; returns whether the engine was free.
    pub fn start(&mut self, header: String, payload: Vec<u8>) -> bool {
        let Some(mut engine) = self.engine.take() else { return false };
        self.call = Some(Box::pin(async move {
            let answer = engine.handle(header.as_bytes(), payload).await;
            (engine, answer)
        }));
        true
    }

    /// Computes until the reply is there or the device must be waited for.
    pub fn poll(&mut self) -> Option<WasmReply> {
        let _watch = faults::Watch::begin();
        wasm_memory::take_refused();
        let call = self.call.as_mut()?;
        let waker = Waker::from(Arc::clone(&self.signal));
        let mut context = Context::from_waker(&waker);
        let Poll::Ready((engine, (reply, payload))) =
            workers::with(&self.workers, || call.as_mut().poll(&mut context))
        else {
            return None;
        };
        self.call = None;
        self.engine = Some(engine);
        Some(WasmReply { header: encode(&reply), payload })
    }

    /// Resolves when polling again leads further.
    pub async fn woken(&self) {
        std::future::poll_fn(|context| self.signal.poll(context)).await;
    }
}

#[wasm_bindgen]
impl WasmReply {
    /// The header, as JSON.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn header(&self) -> String {
        self.header.clone()
    }

    /// The payload, handed over: it is empty from then on.
    #[wasm_bindgen(js_name = takePayload)]
    pub fn take_payload(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.payload)
    }
}
