//! What goes wrong on a GPU, which it tells at any moment: kept until the request under way can be answered with it.

use crate::error::{EngineError, Result};
use std::fmt::{Display, Formatter};
use std::sync::{Arc, Mutex, PoisonError};

/// The first fault of a device and the operations it was in.
#[derive(Default)]
pub(crate) struct Faults {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    issued: Issued,
    first: Option<EngineError>,
}

/// Operations that a GPU is given at once: it does not say in which of them something went wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Issued {
    count: usize,
    first: &'static str,
    last: &'static str,
}

impl Issued {
    /// One more operation.
    pub(super) fn add(&mut self, operation: &'static str) {
        if self.count == 0 {
            self.first = operation;
        }
        self.last = operation;
        self.count += 1;
    }
}

impl Display for Issued {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { count, first, last } = self;
        match count {
            0 | 1 => write!(f, "operation \"{last}\""),
            _ => write!(f, "one of {count} operations, from \"{first}\" to \"{last}\""),
        }
    }
}

impl Faults {
    /// Faults of a device, from now on.
    pub(super) fn of(device: &wgpu::Device) -> Arc<Self> {
        let faults = Arc::new(Self::default());
        let watched = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error| {
            watched.keep(|issued| sentence(error, issued));
        }));
        let watched = Arc::clone(&faults);
        device.set_device_lost_callback(move |_, reason| {
            watched.keep(|issued| lost(&reason, issued));
        });
        faults
    }

    /// Names the operation that is issued next.
    pub(super) fn during(&self, operation: &'static str) {
        self.state().issued = Issued { count: 1, first: operation, last: operation };
    }

    /// Names the operations that are submitted next.
    pub(super) fn during_all(&self, issued: Issued) {
        self.state().issued = issued;
    }

    /// Fails with the first fault, if there was one. A device does not recover.
    pub(crate) fn check(&self) -> Result<()> {
        self.state().first.clone().map_or(Ok(()), Err)
    }

    /// Fails when the buffer of `bytes` bytes that was just made has no memory; then nothing else was harmed.
    pub(super) fn check_allocation(&self, bytes: usize) -> Result<()> {
        let state = &mut *self.state();
        match &state.first {
            Some(EngineError::OutOfMemory(_)) => {
                state.first = None;
                let message = format!("The GPU has no memory left for a buffer of {bytes} bytes");
                Err(EngineError::OutOfMemory(message))
            }
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// What waiting in vain ends with: the first fault, or that what was issued last failed.
    pub(super) fn failure(&self, cause: impl Display) -> EngineError {
        let state = &*self.state();
        state.first.clone().unwrap_or_else(|| {
            let (issued, cause) = (state.issued, one_line(&cause.to_string()));
            let message = format!("The GPU failed in {issued}: {cause}");
            EngineError::DeviceUnavailable(message)
        })
    }

    /// What came first is the cause; the loss of the device overrules what followed from it.
    fn keep(&self, fault: impl FnOnce(Issued) -> EngineError) {
        let state = &mut *self.state();
        let fault = fault(state.issued);
        if state.first.is_none() || matches!(fault, EngineError::DeviceLost(_)) {
            state.first = Some(fault);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error as the reply says it, with what was issued last.
fn sentence(error: wgpu::Error, issued: Issued) -> EngineError {
    match error {
        wgpu::Error::OutOfMemory { .. } => {
            EngineError::OutOfMemory(format!("The GPU ran out of memory in {issued}"))
        }
        wgpu::Error::Validation { description, .. } => {
            EngineError::Internal(format!("The GPU refused {issued}: {}", one_line(&description)))
        }
        wgpu::Error::Internal { description, .. } => EngineError::DeviceUnavailable(format!(
            "The GPU's driver failed in {issued}: {}",
            one_line(&description)
        )),
    }
}

fn lost(reason: &str, issued: Issued) -> EngineError {
    let reason = if reason.is_empty() { "no reason given" } else { reason };
    EngineError::DeviceLost(format!("The GPU was lost in {issued} ({})", one_line(reason)))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(description: &str) -> wgpu::Error {
        wgpu::Error::Validation {
            source: Box::new(std::fmt::Error),
            description: description.to_owned(),
        }
    }

    fn message(result: Result<()>) -> String {
        result.map_or_else(|error| error.to_string(), |()| "none".to_owned())
    }

    #[test]
    fn the_first_fault_stays_and_names_its_operation() {
        let faults = Faults::default();
        assert_eq!(message(faults.check()), "none");
        faults.during("linear");
        faults.keep(|issued| sentence(error("Buffer\n  is invalid"), issued));
        faults.during("rope");
        faults.keep(|issued| sentence(error("later"), issued));
        let first = "The GPU refused operation \"linear\": Buffer is invalid";
        assert_eq!(message(faults.check()), first);
        assert_eq!(message(faults.check()), first);
    }

    #[test]
    fn a_lost_device_overrules_what_followed_from_it() {
        let faults = Faults::default();
        faults.during("attention");
        faults.keep(|issued| sentence(error("mapping failed"), issued));
        faults.keep(|issued| lost("reset", issued));
        let error = faults.check();
        assert!(matches!(error, Err(EngineError::DeviceLost(_))), "{error:?}");
        assert_eq!(message(error), "The GPU was lost in operation \"attention\" (reset)");
    }

    #[cfg(feature = "native")]
    #[test]
    fn a_gpu_tells_what_it_refuses_and_that_it_is_gone() {
        use crate::device::Memory;
        for gpu in crate::device::conformance::gpus() {
            let Ok(buffer) = gpu.allocate(64) else { panic!("no memory for a buffer") };
            gpu.faults.during("a test");
            let _ = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: u64::MAX / 4,
                usage: wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            });
            let refusal = message(gpu.faults.check());
            assert!(refusal.starts_with("The GPU refused operation \"a test\": "), "{refusal}");
            gpu.device.destroy();
            let read = pollster::block_on(gpu.read(&buffer, 0, 64));
            assert!(read.is_err(), "a device that is gone was read");
            let error = gpu.faults.check();
            assert!(matches!(error, Err(EngineError::DeviceLost(_))), "{error:?}");
            assert_eq!(message(error.clone()), message(read.map(|_| ())));
            assert!(message(error).contains("operation \"read-back\""), "no operation");
        }
    }

    #[test]
    fn waiting_in_vain_names_the_operation_or_the_fault_before() {
        let faults = Faults::default();
        faults.during("clear");
        let error = faults.failure("timed\n out");
        assert!(matches!(error, EngineError::DeviceUnavailable(_)), "{error:?}");
        assert_eq!(error.to_string(), "The GPU failed in operation \"clear\": timed out");
        faults.keep(|issued| lost("reset", issued));
        let error = faults.failure("mapping failed");
        assert!(matches!(error, EngineError::DeviceLost(_)), "{error:?}");
        assert_eq!(error.to_string(), "The GPU was lost in operation \"clear\" (reset)");
    }

    #[cfg(feature = "native")]
    #[test]
    fn copies_clears_and_read_backs_are_named() {
        use crate::device::{GpuDevice, Memory};
        type Fault = (&'static str, fn(&GpuDevice));
        /// Beyond the end of a buffer of 64 bytes.
        const BEYOND: usize = 1 << 10;
        let faulty: [Fault; 3] = [
            ("copy", |gpu| {
                let [from, to] = [(); 2].map(|()| gpu.allocate(64).expect("memory"));
                gpu.record_copy(&from.buffer, BEYOND, &to.buffer, 0);
                gpu.submit();
            }),
            ("clear", |gpu| {
                let buffer = gpu.allocate(64).expect("memory");
                gpu.record_clear(&buffer.buffer, BEYOND);
                gpu.submit();
            }),
            ("read-back", |gpu| {
                let buffer = gpu.allocate(64).expect("memory");
                let _ = pollster::block_on(gpu.read(&buffer, 0, BEYOND));
            }),
        ];
        for (operation, fault) in faulty {
            for gpu in crate::device::conformance::gpus() {
                fault(&gpu);
                let refusal = message(gpu.faults.check());
                let named = format!("The GPU refused operation \"{operation}\": ");
                assert!(refusal.starts_with(&named), "{refusal}");
            }
        }
    }

    #[cfg(feature = "native")]
    #[test]
    fn what_is_submitted_together_is_named_together() {
        use crate::device::Memory;
        for gpu in crate::device::conformance::gpus() {
            let [from, to] = [(); 2].map(|()| gpu.allocate(64).expect("memory"));
            gpu.record_copy(&from.buffer, 1 << 10, &to.buffer, 0);
            gpu.record_clear(&to.buffer, 16);
            let _ = pollster::block_on(gpu.read(&from, 0, 64));
            let refusal = message(gpu.faults.check());
            let named = "The GPU refused one of 3 operations, from \"copy\" to \"read-back\": ";
            assert!(refusal.starts_with(named), "{refusal}");
        }
    }

    #[test]
    fn an_allocation_that_fails_harms_nothing_else() {
        let faults = Faults::default();
        let source = || Box::new(std::fmt::Error);
        faults.keep(|issued| sentence(wgpu::Error::OutOfMemory { source: source() }, issued));
        let refused = message(faults.check_allocation(4096));
        assert_eq!(refused, "The GPU has no memory left for a buffer of 4096 bytes");
        assert_eq!(message(faults.check()), "none");
    }
}
