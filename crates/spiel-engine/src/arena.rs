//! Allocation that keeps the memory table: planning a model runs the code that allocates it, with empty buffers.

use crate::device::Device;
use crate::error::{EngineError, Result};
use crate::protocol::{MemoryRow, MemoryTable};

/// What memory is for; the order is that of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Weights,
    Trained,
    Optimizer,
    Candidates,
    Activations,
    Workspace,
    Cache,
}

impl Purpose {
    const ALL: [Self; 7] = [
        Self::Weights,
        Self::Trained,
        Self::Optimizer,
        Self::Candidates,
        Self::Activations,
        Self::Workspace,
        Self::Cache,
    ];

    fn words(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Trained => "trained values and gradients",
            Self::Optimizer => "optimizer state",
            Self::Candidates => "growth candidates",
            Self::Activations => "activations",
            Self::Workspace => "workspace",
            Self::Cache => "key-value cache",
        }
    }
}

/// Allocates on a device, or only counts.
pub(crate) struct Arena<'a, D> {
    device: &'a D,
    plan_only: bool,
    bytes: [u64; Purpose::ALL.len()],
}

impl<'a, D: Device> Arena<'a, D> {
    pub(crate) fn new(device: &'a D, plan_only: bool) -> Self {
        Self { device, plan_only, bytes: [0; Purpose::ALL.len()] }
    }

    /// Allocates `elements` 32-bit elements.
    pub(crate) fn elements(&mut self, purpose: Purpose, elements: usize) -> Result<D::Buffer> {
        self.bytes(purpose, elements * 4)
    }

    /// Allocates `bytes` bytes, rounded up to whole words.
    ///
    /// # Errors
    /// When the device has no buffers of that size, also while only planning, or no memory left.
    pub(crate) fn bytes(&mut self, purpose: Purpose, bytes: usize) -> Result<D::Buffer> {
        let largest = self.device.largest_buffer();
        if bytes as u64 > largest {
            return Err(EngineError::OutOfMemory(format!(
                "The {} need one buffer of {bytes} bytes, over the {largest} that {} allows",
                purpose.words(),
                self.device.adapter(),
            )));
        }
        self.bytes[purpose as usize] += bytes.next_multiple_of(4) as u64;
        self.device.allocate(if self.plan_only { 0 } else { bytes })
    }

    /// What has been allocated or counted.
    pub(crate) fn table(&self) -> MemoryTable {
        let rows = Purpose::ALL.into_iter().map(|purpose| (purpose, self.bytes[purpose as usize]));
        MemoryTable {
            rows: rows
                .filter(|(_, bytes)| *bytes > 0)
                .map(|(purpose, bytes)| MemoryRow { purpose: purpose.words().to_owned(), bytes })
                .collect(),
            total_bytes: self.bytes.iter().sum(),
        }
    }
}
