//! How much a GPU is given at once: drivers end what keeps one from its screen for some seconds.

use spiel_kernels::program::Work;

/// Limits of what is submitted at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Floating-point operations of a submission.
    pub(super) flops: u64,
    /// Bytes that a submission moves.
    pub(super) bytes: u64,
    /// Floating-point operations of one dispatch, which no submission can divide. Larger operations are cut.
    pub(super) dispatch_flops: u64,
    /// As many of attention's, whose sums depend on how keys are cut: alike on all devices.
    pub(super) attention_flops: u64,
    /// Bytes that one dispatch moves.
    pub(super) dispatch_bytes: u64,
}

impl Budget {
    /// Submissions of 100 ms where a GPU reaches 0.3 TFLOP/s and 10 GB/s, and of 1 ms on an H100; dispatches that still
    /// fill an H100, of 100 ms at 2 TFLOP/s and 10 GB/s.
    pub(super) const DEFAULT: Self = Self {
        flops: 30_000_000_000,
        bytes: 1 << 30,
        dispatch_flops: 200_000_000_000,
        attention_flops: 200_000_000_000,
        dispatch_bytes: 1 << 30,
    };

    /// For a device of this type: a GPU that shares the processor's memory is a tenth as fast.
    pub(super) fn of(device: wgpu::DeviceType) -> Self {
        match device {
            wgpu::DeviceType::IntegratedGpu => {
                Self { dispatch_flops: Self::DEFAULT.dispatch_flops / 10, ..Self::DEFAULT }
            }
            _ => Self::DEFAULT,
        }
    }

    /// What is left after this much work.
    pub(super) fn after(self, work: &Work) -> Self {
        Self {
            flops: self.flops.saturating_sub(work.flops),
            bytes: self.bytes.saturating_sub(work.bytes),
            ..self
        }
    }

    /// Whether this much work is more than is left.
    pub(super) fn is_exceeded_by(self, work: &Work) -> bool {
        work.flops > self.flops || work.bytes > self.bytes
    }

    /// Whether the submission is due.
    pub(super) fn is_spent(self) -> bool {
        self.flops == 0 || self.bytes == 0
    }

    /// In how many dispatches so much work is done.
    pub(super) fn dispatches(self, work: &Work) -> usize {
        self.within(self.dispatch_flops, work)
    }

    /// In how many dispatches so much attention is done.
    pub(super) fn dispatches_of_attention(self, work: &Work) -> usize {
        self.within(self.attention_flops, work)
    }

    fn within(self, flops: u64, work: &Work) -> usize {
        let by_flops = work.flops.div_ceil(flops);
        by_flops.max(work.bytes.div_ceil(self.dispatch_bytes)).max(1) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_divided_by_its_operations_or_by_its_bytes() {
        let Budget { dispatch_flops, dispatch_bytes, .. } = Budget::DEFAULT;
        let dispatches =
            |flops, bytes| Budget::DEFAULT.dispatches(&Work { flops, bytes, ..Work::default() });
        assert_eq!(dispatches(0, 0), 1);
        assert_eq!(dispatches(dispatch_flops, dispatch_bytes), 1);
        assert_eq!(dispatches(dispatch_flops + 1, 0), 2);
        assert_eq!(dispatches(1, 4 * dispatch_bytes + 1), 5);
        assert_eq!(dispatches(7 * dispatch_flops, 4 * dispatch_bytes), 7);
    }
}
