//! The wasm-bindgen class that `lib/` exports.
#![expect(unreachable_pub, reason = "wasm-bindgen exports what is public here")]

use super::{encode, version};
use crate::engine::Engine;
use wasm_bindgen::prelude::wasm_bindgen;

/// `{"version", "protocol"}` of this build.
#[wasm_bindgen(js_name = version)]
#[must_use]
pub fn wasm_version() -> String {
    version()
}

/// An engine inside a WebAssembly module.
#[wasm_bindgen]
#[derive(Default)]
pub struct WasmEngine {
    engine: Engine,
}

/// A reply's header and payload.
#[wasm_bindgen]
pub struct WasmReply {
    header: String,
    payload: Vec<u8>,
}

#[wasm_bindgen]
impl WasmEngine {
    /// An engine that waits for `engineOpen`.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries out a request.
    pub async fn call(&mut self, header: String, payload: Vec<u8>) -> WasmReply {
        let (reply, payload) = self.engine.handle(header.as_bytes(), &payload).await;
        WasmReply { header: encode(&reply), payload }
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

    /// The payload, copied out.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        self.payload.clone()
    }
}
