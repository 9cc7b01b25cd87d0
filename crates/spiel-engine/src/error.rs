//! Why a request fails, with the stable code that crosses the boundary.

use crate::protocol::{ErrorCode, ErrorInfo};

/// A failed request.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum EngineError {
    /// The request's arguments or payload are wrong.
    #[error("{0}")]
    InvalidRequest(String),
    /// The request does not fit what was done before.
    #[error("{0}")]
    InvalidState(String),
    /// The plan exceeds its budget, or memory could not be had.
    #[error("{0}")]
    OutOfMemory(String),
    /// No usable device.
    #[error("{0}")]
    DeviceUnavailable(String),
    /// The device went away.
    #[cfg(feature = "gpu")]
    #[error("{0}")]
    DeviceLost(String),
    /// A fault of the engine.
    #[error("{0}")]
    Internal(String),
}

/// The result of an engine operation.
pub(crate) type Result<T> = std::result::Result<T, EngineError>;

impl EngineError {
    /// The error as the reply that reports it.
    #[must_use]
    pub(crate) fn info(&self) -> ErrorInfo {
        let code = match self {
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::InvalidState(_) => ErrorCode::InvalidState,
            Self::OutOfMemory(_) => ErrorCode::OutOfMemory,
            Self::DeviceUnavailable(_) => ErrorCode::DeviceUnavailable,
            #[cfg(feature = "gpu")]
            Self::DeviceLost(_) => ErrorCode::DeviceLost,
            Self::Internal(_) => ErrorCode::Internal,
        };
        ErrorInfo { code, message: self.to_string() }
    }
}

/// Refuses a request with a formatted sentence.
macro_rules! invalid {
    ($($part:tt)*) => {
        $crate::error::EngineError::InvalidRequest(format!($($part)*))
    };
}

/// Refuses a request that comes at the wrong time.
macro_rules! out_of_order {
    ($($part:tt)*) => {
        $crate::error::EngineError::InvalidState(format!($($part)*))
    };
}

pub(crate) use {invalid, out_of_order};
