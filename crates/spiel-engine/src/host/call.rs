//! Where a request to the CPU device is carried out.

use crate::device::CpuDevice;
use crate::engine::Answer;
use crate::error::Result;
use crate::protocol::Request;
use crate::stage::Stage;
use std::borrow::Cow;

/// Carries a request out on the calling thread, which is one of the device's own.
#[cfg(not(feature = "wasm"))]
pub(crate) async fn carry_out(
    stage: &mut Stage<CpuDevice>,
    request: Request,
    payload: Cow<'_, [u8]>,
) -> Result<Answer> {
    stage.dispatch(request, &payload).await
}

/// Carries a request out on the device's threads where it has any, so that the calling one stays free for JavaScript.
#[cfg(feature = "wasm")]
pub(crate) async fn carry_out(
    stage: &mut Stage<CpuDevice>,
    request: Request,
    payload: Cow<'_, [u8]>,
) -> Result<Answer> {
    let Some(pool) = stage.device()?.pool() else { return stage.dispatch(request, &payload).await };
    let mut lent = std::mem::replace(stage, Stage::Moved);
    let payload = payload.into_owned();
    let (give_back, given_back) = futures_channel::oneshot::channel();
    pool.spawn(move || {
        let _watch = super::faults::Watch::begin();
        let answer = pollster::block_on(lent.dispatch(request, &payload));
        // Nobody waits for the answer once the caller has freed the engine.
        let _ = give_back.send((lent, answer));
    });
    match given_back.await {
        Ok((lent, answer)) => {
            *stage = lent;
            answer
        }
        // A thread that fails ends by a trap, of which the caller hears from its worker.
        Err(futures_channel::oneshot::Canceled) => std::future::pending().await,
    }
}
