//! The cases as tests of this machine's own GPU.

use super::Case;
use super::subject::open_gpus;
use crate::device::GpuDevice;
use pollster::block_on;

/// The GPUs to test, none where this machine has none and `SPIEL_REQUIRE` does not name `native:gpu`.
pub(in crate::device) fn gpus() -> Vec<GpuDevice> {
    block_on(open_gpus()).unwrap_or_else(|error| {
        let required = std::env::var("SPIEL_REQUIRE").unwrap_or_default();
        let required = required.split(',').any(|name| name == "native:gpu");
        assert!(!required, "SPIEL_REQUIRE names native:gpu, but {error}");
        eprintln!("skipped: {error}");
        Vec::new()
    })
}

/// Runs a case on them.
pub(super) fn run(case: Case) {
    block_on(case(&gpus()));
}
