//! Allocation that keeps the memory table: planning a model runs the code that allocates it, without buffers.

use crate::bytes::format_bytes;
use crate::device::{Device, OperationSizes};
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
    Operations,
    Cache,
}

impl Purpose {
    const ALL: [Self; 8] = [
        Self::Weights,
        Self::Trained,
        Self::Optimizer,
        Self::Candidates,
        Self::Activations,
        Self::Workspace,
        Self::Operations,
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
            Self::Operations => "held by operations",
            Self::Cache => "key-value cache",
        }
    }
}

/// Bytes of the largest object that the target's addresses allow.
const ADDRESSABLE: u64 = isize::MAX as u64;

/// Allocates on a device, or only counts.
pub(crate) struct Arena<'a, D> {
    device: &'a D,
    plan_only: bool,
    bytes: [u64; Purpose::ALL.len()],
    largest: u64,
}

impl<'a, D: Device> Arena<'a, D> {
    pub(crate) fn new(device: &'a D, plan_only: bool) -> Self {
        Self { device, plan_only, bytes: [0; Purpose::ALL.len()], largest: 0 }
    }

    /// Allocates an array of 32-bit elements.
    pub(crate) fn elements<const N: usize>(
        &mut self,
        purpose: Purpose,
        shape: [usize; N],
    ) -> Result<D::Buffer> {
        self.blocks(purpose, shape, 4)
    }

    /// Allocates an array of blocks of `block_bytes` bytes, rounded up to whole words.
    ///
    /// # Errors
    /// When the device has no buffers of that size, also while only planning, or no memory left.
    pub(crate) fn blocks<const N: usize>(
        &mut self,
        purpose: Purpose,
        shape: [usize; N],
        block_bytes: usize,
    ) -> Result<D::Buffer> {
        let largest = self.device.largest_buffer().min(ADDRESSABLE);
        let bytes = array_bytes(shape, block_bytes, largest).map_err(|size| {
            let (purpose, adapter) = (purpose.words(), self.device.adapter());
            EngineError::OutOfMemory(format!(
                "The {purpose} need one buffer of {size}, over the {} that {adapter} allows",
                format_bytes(largest)
            ))
        })?;
        let total = &mut self.bytes[purpose as usize];
        *total = total.saturating_add(bytes.next_multiple_of(4) as u64);
        self.largest = self.largest.max(bytes as u64);
        if self.plan_only { Ok(self.device.nothing()) } else { self.device.allocate(bytes) }
    }

    /// What it allocates on.
    pub(crate) fn device(&self) -> &'a D {
        self.device
    }

    /// Bytes of the largest array so far.
    pub(crate) fn largest(&self) -> u64 {
        self.largest
    }

    /// Counts what the device itself holds for operations of these sizes.
    pub(crate) fn operations(&mut self, sizes: &OperationSizes) {
        self.bytes[Purpose::Operations as usize] += self.device.operation_bytes(sizes);
    }

    /// What has been allocated or counted.
    pub(crate) fn table(&self) -> MemoryTable {
        let rows = Purpose::ALL.into_iter().map(|purpose| (purpose, self.bytes[purpose as usize]));
        MemoryTable {
            rows: rows
                .filter(|(_, bytes)| *bytes > 0)
                .map(|(purpose, bytes)| MemoryRow { purpose: purpose.words().to_owned(), bytes })
                .collect(),
            total_bytes: self.bytes.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes)),
        }
    }
}

/// Bytes of an array, at most `largest`, or else its size in words.
///
/// Sizes are 64 bits wide here whatever the target, whose own would wrap.
fn array_bytes<const N: usize>(
    shape: [usize; N],
    block_bytes: usize,
    largest: u64,
) -> std::result::Result<usize, String> {
    let sizes = shape.into_iter().chain([block_bytes]);
    match sizes.into_iter().try_fold(1_u64, |product, size| product.checked_mul(size as u64)) {
        Some(bytes) if bytes <= largest => Ok(bytes as usize),
        Some(bytes) => Err(format_bytes(bytes)),
        None => Err("over 2^64 bytes".to_owned()),
    }
}

/// The bytes of a reply that is an array of 32-bit elements.
pub(crate) fn reply_bytes<const N: usize>(shape: [usize; N]) -> Result<usize> {
    array_bytes(shape, 4, ADDRESSABLE).map_err(|size| {
        EngineError::OutOfMemory(format!("A reply of {size} is more than this build can address"))
    })
}

/// An empty list with room for `count` elements, in the memory of the engine itself.
///
/// # Errors
/// When there is not enough of it.
pub(crate) fn with_room<T>(count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| no_room::<T>(count))?;
    Ok(values)
}

/// As many zeros; see [`with_room`]. The system gives memory to a large list only where it is written.
pub(crate) fn zeros<T: bytemuck::Zeroable>(count: usize) -> Result<Vec<T>> {
    bytemuck::allocation::try_zeroed_vec(count).map_err(|()| no_room::<T>(count))
}

fn no_room<T>(count: usize) -> EngineError {
    let bytes = (count as u64).saturating_mul(size_of::<T>() as u64);
    EngineError::OutOfMemory(format!("Cannot allocate {} of memory", format_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_wrap_are_refused() {
        assert_eq!(array_bytes([3, 5], 4, 60), Ok(60));
        assert_eq!(array_bytes([3, 5], 4, 59), Err("60 B".to_owned()));
        assert_eq!(array_bytes([1 << 31, 1 << 31], 4, u64::MAX), Err("over 2^64 bytes".to_owned()));
        assert!(reply_bytes([1 << 31, 1 << 30]).is_err());
        assert!(zeros::<f32>(isize::MAX as usize).is_err());
        assert_eq!(zeros::<u32>(2).unwrap(), [0, 0]);
    }

    #[cfg(feature = "native")]
    #[test]
    fn a_plan_counts_without_allocating() {
        let device = crate::device::CpuDevice::new(None);
        let mut arena = Arena::new(&device, true);
        for _ in 0..3 {
            arena.elements(Purpose::Weights, [1 << 30, 1 << 28]).unwrap();
        }
        arena.blocks(Purpose::Cache, [3], 3).unwrap();
        assert_eq!(arena.table().total_bytes, (3 << 60) + 12);
    }
}
