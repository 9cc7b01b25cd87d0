//! Bindings no larger than the device allows: buffers are cut along their rows, and operations run cut by cut.

use super::pool::Temporary;
use super::{GpuBuffer, GpuDevice};
use std::num::NonZeroU64;
use std::ops::Range;

/// What a dispatch binds of a buffer.
#[derive(Clone, Copy)]
pub(super) struct Slice<'a> {
    buffer: &'a wgpu::Buffer,
    offset: u64,
    size: Option<NonZeroU64>,
}

impl<'a> Slice<'a> {
    /// What tells it from other slices.
    pub(super) fn key(&self) -> (wgpu::Buffer, u64, Option<NonZeroU64>) {
        (self.buffer.clone(), self.offset, self.size)
    }

    pub(super) fn binding(self) -> wgpu::BindingResource<'a> {
        let Self { buffer, offset, size } = self;
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
    }
}

impl<'a> From<&'a GpuBuffer> for Slice<'a> {
    fn from(buffer: &'a GpuBuffer) -> Self {
        buffer.whole()
    }
}

impl<'a> From<&'a Temporary<'_>> for Slice<'a> {
    fn from(buffer: &'a Temporary<'_>) -> Self {
        buffer.whole()
    }
}

impl GpuBuffer {
    /// All of the buffer, which must fit a binding.
    pub(super) fn whole(&self) -> Slice<'_> {
        Slice { buffer: &self.buffer, offset: 0, size: None }
    }
}

impl GpuDevice {
    /// The buffer from byte `offset` on, a multiple of the offset alignment, as far as a binding reaches.
    pub(super) fn starting_at<'a>(&self, buffer: &'a GpuBuffer, offset: usize) -> Slice<'a> {
        let rest = buffer.buffer.size() - offset as u64;
        let size = NonZeroU64::new(rest.min(self.binding_bytes as u64))
            .filter(|_| offset > 0 || rest > self.binding_bytes as u64);
        Slice { buffer: &buffer.buffer, offset: offset as u64, size }
    }

    /// The buffer from row `rows.start` on, its rows `bytes` bytes each; `rows` must come from [`Self::cuts`].
    pub(super) fn part<'a>(
        &self,
        buffer: &'a GpuBuffer,
        rows: &Range<usize>,
        bytes: usize,
    ) -> Slice<'a> {
        self.starting_at(buffer, rows.start * bytes)
    }

    /// Cuts `count` rows into ranges whose parts can be bound, of all buffers that have so many bytes a row.
    pub(super) fn cuts(&self, count: usize, bytes: &[usize]) -> Vec<Range<usize>> {
        self.cuts_of(count, bytes, count)
    }

    /// As [`Self::cuts`], of `most` rows each if alignment allows so few.
    pub(super) fn cuts_of(&self, count: usize, bytes: &[usize], most: usize) -> Vec<Range<usize>> {
        let widest = bytes.iter().copied().max().unwrap_or(1).max(1);
        if count <= most && count * widest <= self.binding_bytes {
            return std::iter::once(0..count).filter(|rows| !rows.is_empty()).collect();
        }
        // Every part must begin at a multiple of the alignment, a power of two.
        let alignment = self.offset_alignment;
        let units = bytes
            .iter()
            .map(|bytes| alignment >> bytes.trailing_zeros().min(alignment.trailing_zeros()));
        let unit = units.max().unwrap_or(1);
        let bound = self.binding_bytes / widest / unit * unit;
        assert!(bound > 0, "{unit} rows of {widest} bytes do not fit a binding");
        let step = bound.min(most.next_multiple_of(unit)).max(unit);
        (0..count).step_by(step).map(|first| first..count.min(first + step)).collect()
    }
}
