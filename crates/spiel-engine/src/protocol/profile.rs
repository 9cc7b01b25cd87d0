//! What a device did while it was profiled.

use super::WeightFormat;
use serde::Serialize;

/// Counts and times since the last `profileRead`, of what was issued while profiling was on.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// One row per operation, shape and format, and per amount of work where that differs, in the order of first calls.
    pub operations: Vec<ProfileRow>,
    /// What the host asked of the device.
    pub totals: ProfileTotals,
    /// The last calls that were timed, in the order in which their times came in.
    pub calls: Vec<ProfileCall>,
    /// Timed calls before them, which are in `operations` alone.
    pub earlier_calls: u64,
}

/// One operation on operands of one shape.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
pub struct ProfileRow {
    /// Its name: on a GPU that of the program, so that an operation may have several rows.
    pub operation: String,
    /// The sizes that it works on, in the order of its formula; empty where they are not kept.
    pub shape: Vec<u32>,
    /// The stored format that it decodes; absent where it decodes none.
    pub format: Option<WeightFormat>,
    /// How often it ran; on a GPU, dispatches.
    pub calls: u32,
    /// Seconds of all calls, on the device's own clock; absent where it has none.
    pub seconds: Option<f64>,
    /// Floating-point operations of all calls, a multiply-add as two; absent where they are not counted.
    pub flops: Option<f64>,
    /// Bytes that all calls must move, every operand once; absent where they are not counted.
    pub bytes: Option<f64>,
}

/// One call of an operation, or one dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
pub struct ProfileCall {
    /// Number of its row in `operations`, from 0.
    pub row: u32,
    /// Which time that profiling was on, from 0.
    pub period: u32,
    /// Seconds from when the device first timed one, by its own clock.
    pub start: f64,
    /// How long it took.
    pub seconds: f64,
}

/// What the host asked of a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ProfileTotals {
    /// Programs started; on the CPU, calls.
    pub dispatches: u64,
    /// Recordings submitted.
    pub submissions: u64,
    /// Times that the host waited for device memory.
    pub read_backs: u64,
    /// Bytes read back.
    pub read_bytes: u64,
    /// Bytes written by the host.
    pub written_bytes: u64,
}
