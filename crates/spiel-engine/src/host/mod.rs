//! The edges through which hosts call: forwarding functions that know no operation.

pub(crate) mod call;
#[cfg(feature = "native")]
mod caught;
pub(crate) mod clock;
#[cfg(all(feature = "wasm", feature = "conformance"))]
mod conformance;
mod faults;
#[cfg(feature = "native")]
mod native;
#[cfg(feature = "wasm")]
mod signal;
#[cfg(feature = "native")]
mod slots;
pub(crate) mod threads;
#[cfg(feature = "wasm")]
mod wasm;
#[cfg(feature = "wasm")]
mod wasm_memory;
#[cfg(feature = "wasm")]
mod workers;

use crate::protocol::{ErrorCode, ErrorInfo, Reply, protocol_hash};

/// What an engine and its caller compare when they meet.
fn version() -> String {
    serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "protocol": protocol_hash() })
        .to_string()
}

/// A reply's header as JSON.
fn encode(reply: &Reply) -> String {
    serde_json::to_string(reply)
        .unwrap_or_else(|error| failure(&format!("Cannot write the reply: {error}")))
}

/// The reply that reports a fault of the engine.
fn failure(message: &str) -> String {
    let info = ErrorInfo { code: ErrorCode::Internal, message: message.to_owned() };
    serde_json::to_string(&Reply::Error(info)).unwrap_or_default()
}
