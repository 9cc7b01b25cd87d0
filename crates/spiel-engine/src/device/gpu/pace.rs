//! Keeping up with the device: the host may run ahead of it, but not without bound, since what is submitted takes memory.

use super::GpuDevice;
use crate::error::Result;

/// What the host has run ahead by.
#[derive(Default)]
pub(super) struct Pace {
    /// The submission at the last call.
    #[cfg(not(target_arch = "wasm32"))]
    last: Option<wgpu::SubmissionIndex>,
    /// Calls since the host waited.
    #[cfg(target_arch = "wasm32")]
    calls: u32,
}

/// Calls that WebGPU may be behind: it waits for all that was submitted, and waiting is slow where it sleeps.
#[cfg(target_arch = "wasm32")]
const CALLS: u32 = 8;

impl GpuDevice {
    /// Submits what is recorded, and waits for what was submitted before the last call of this.
    #[cfg(not(target_arch = "wasm32"))]
    #[expect(clippy::unused_async, reason = "one signature for all builds")]
    pub(super) async fn follow(&self) -> Result<()> {
        self.submit();
        let now = self.queue.submit([]);
        let Some(last) = self.pace.borrow_mut().last.replace(now) else { return Ok(()) };
        let poll = wgpu::PollType::Wait { submission_index: Some(last), timeout: None };
        self.device.poll(poll).map(|_| ()).map_err(|error| self.faults.failure(error))
    }

    /// Submits what is recorded, and now and then waits for all of it.
    #[cfg(target_arch = "wasm32")]
    pub(super) async fn follow(&self) -> Result<()> {
        self.submit();
        let calls = self.pace.borrow().calls + 1;
        self.pace.borrow_mut().calls = calls % CALLS;
        if calls < CALLS {
            return Ok(());
        }
        let (sender, receiver) = futures_channel::oneshot::channel();
        self.queue.on_submitted_work_done(move || {
            // The receiver lives until the work is done.
            let _ = sender.send(());
        });
        receiver.await.map_err(|error| self.faults.failure(error))
    }
}
