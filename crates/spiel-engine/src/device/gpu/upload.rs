//! Small arrays of the host that operations need: which keys a query sees, and which queries see a key.

use super::counters::count;
use super::{GpuBuffer, GpuDevice};
use std::sync::Arc;

/// Words, and the buffer that holds them.
pub(super) struct Upload {
    words: Vec<u32>,
    buffer: Arc<GpuBuffer>,
}

/// What uploaded words are.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    SeenKeys,
    SeeingQueries,
}

impl GpuDevice {
    /// A buffer with these words: the last of its kind if it has them, so that the layers of a pass share one.
    pub(super) fn shared_upload(&self, kind: Kind, words: Vec<u32>) -> Arc<GpuBuffer> {
        let last = &mut self.uploads.borrow_mut()[kind as usize];
        if let Some(upload) = last.as_ref().filter(|upload| upload.words == words) {
            return Arc::clone(&upload.buffer);
        }
        let buffer = Arc::new(self.uploaded(&words));
        *last = Some(Upload { words, buffer: Arc::clone(&buffer) });
        buffer
    }

    /// A buffer with these words, for the operations of one call.
    pub(super) fn uploaded(&self, words: &[u32]) -> GpuBuffer {
        // A new buffer is not in what is recorded, so nothing need be submitted first.
        let uploaded = self.buffer(words.len());
        self.queue.write_buffer(&uploaded.buffer, 0, bytemuck::cast_slice(words));
        count(&self.counters, |counters| counters.written_bytes += words.len() as u64 * 4);
        uploaded
    }
}
