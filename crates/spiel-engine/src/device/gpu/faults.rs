//! What goes wrong on a GPU, which it tells at any moment: kept until the request under way can be answered with it.

use crate::error::{EngineError, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// The first fault of a device and the operation it was in.
#[derive(Default)]
pub(crate) struct Faults {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    operation: &'static str,
    first: Option<EngineError>,
}

impl Faults {
    /// Faults of a device, from now on.
    pub(super) fn of(device: &wgpu::Device) -> Arc<Self> {
        let faults = Arc::new(Self::default());
        let watched = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error| {
            watched.keep(|operation| sentence(error, operation));
        }));
        let watched = Arc::clone(&faults);
        device.set_device_lost_callback(move |_, reason| {
            watched.keep(|operation| lost(&reason, operation));
        });
        faults
    }

    /// Names the operation that is issued next.
    pub(super) fn during(&self, operation: &'static str) {
        self.state().operation = operation;
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

    /// What waiting in vain ends with: the first fault, or that the operation that was issued last failed.
    pub(super) fn failure(&self, cause: impl std::fmt::Display) -> EngineError {
        let state = &*self.state();
        state.first.clone().unwrap_or_else(|| {
            let (operation, cause) = (state.operation, one_line(&cause.to_string()));
            let message = format!("The GPU failed in operation \"{operation}\": {cause}");
            EngineError::DeviceUnavailable(message)
        })
    }

    /// What came first is the cause; the loss of the device overrules what followed from it.
    fn keep(&self, fault: impl FnOnce(&str) -> EngineError) {
        let state = &mut *self.state();
        let fault = fault(state.operation);
        if state.first.is_none() || matches!(fault, EngineError::DeviceLost(_)) {
            state.first = Some(fault);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error as the reply says it, with the operation that was issued last.
fn sentence(error: wgpu::Error, operation: &str) -> EngineError {
    match error {
        wgpu::Error::OutOfMemory { .. } => EngineError::OutOfMemory(format!(
            "The GPU ran out of memory in operation \"{operation}\""
        )),
        wgpu::Error::Validation { description, .. } => EngineError::Internal(format!(
            "The GPU refused operation \"{operation}\": {}",
            one_line(&description)
        )),
        wgpu::Error::Internal { description, .. } => EngineError::DeviceUnavailable(format!(
            "The GPU's driver failed in operation \"{operation}\": {}",
            one_line(&description)
        )),
    }
}

fn lost(reason: &str, operation: &str) -> EngineError {
    let reason = if reason.is_empty() { "no reason given" } else { reason };
    EngineError::DeviceLost(format!(
        "The GPU was lost in operation \"{operation}\" ({})",
        one_line(reason)
    ))
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
        faults.keep(|operation| sentence(error("Buffer\n  is invalid"), operation));
        faults.during("rope");
        faults.keep(|operation| sentence(error("later"), operation));
        let first = "The GPU refused operation \"linear\": Buffer is invalid";
        assert_eq!(message(faults.check()), first);
        assert_eq!(message(faults.check()), first);
    }

    #[test]
    fn a_lost_device_overrules_what_followed_from_it() {
        let faults = Faults::default();
        faults.during("attention");
        faults.keep(|operation| sentence(error("mapping failed"), operation));
        faults.keep(|operation| lost("reset", operation));
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
        faults.keep(|operation| lost("reset", operation));
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

    #[test]
    fn an_allocation_that_fails_harms_nothing_else() {
        let faults = Faults::default();
        let source = || Box::new(std::fmt::Error);
        faults.keep(|operation| sentence(wgpu::Error::OutOfMemory { source: source() }, operation));
        let refused = message(faults.check_allocation(4096));
        assert_eq!(refused, "The GPU has no memory left for a buffer of 4096 bytes");
        assert_eq!(message(faults.check()), "none");
    }
}
