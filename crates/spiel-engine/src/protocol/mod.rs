//! The boundary: every request the engine takes and every reply it gives, as serde types.
//!
//! A message is a small JSON header (one of these types) and a raw payload; tensor bytes are never serialised. All
//! payloads are little-endian. `src/engine/protocol.gen.ts` is generated from this folder.

mod gpu;
mod model;
mod profile;
mod reply;
mod request;
mod words;

pub use gpu::*;
pub use model::*;
pub use profile::*;
pub use reply::*;
pub use request::*;
pub use words::*;

use spiel_kernels::formats::Format;

/// Marks a position of a micro-batch whose next token is not trained.
pub const IGNORE: u32 = u32::MAX;

/// Identifies the protocol: a hash of the text of its types and of the formats' names, compared when an engine is opened.
#[must_use]
pub fn protocol_hash() -> String {
    let texts = [
        include_str!("gpu.rs"),
        include_str!("model.rs"),
        include_str!("profile.rs"),
        include_str!("reply.rs"),
        include_str!("request.rs"),
        include_str!("words.rs"),
    ];
    let formats = Format::ALL.iter().map(|format| format.name());
    // FNV-1a, 64 bits; carriage returns do not count, so a checkout with CRLF line ends agrees.
    let bytes = texts.into_iter().chain(formats).flat_map(str::bytes).filter(|byte| *byte != b'\r');
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
