//! Small arrays of the host that operations need: which keys a query sees, and which queries see a key.

use super::counters::count;
use super::pool::Temporary;
use super::{GpuBuffer, GpuDevice};

/// Words, and the buffer that holds them.
pub(super) struct Upload {
    words: Vec<u32>,
    buffer: GpuBuffer,
}

/// What uploaded words are.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    SeenKeys,
    SeeingQueries,
}

impl GpuDevice {
    /// A buffer with these words: the last of its kind if it has them, so that the layers of a pass share one.
    pub(super) fn shared_upload(&self, kind: Kind, words: &[u32]) -> GpuBuffer {
        let last = &mut self.uploads.borrow_mut()[kind as usize];
        if let Some(other) = last.take_if(|upload| upload.words != words) {
            self.put_back(&other.buffer);
        }
        let upload = last.get_or_insert_with(|| {
            let buffer = self.take(words.len());
            self.upload(words, &buffer);
            Upload { words: words.to_vec(), buffer }
        });
        GpuBuffer::unowned(upload.buffer.buffer.clone(), words.len())
    }

    /// A buffer with these words, for the operations of one call.
    pub(super) fn uploaded(&self, words: &[u32]) -> Temporary<'_> {
        let uploaded = self.temporary(words.len());
        self.upload(words, &uploaded);
        uploaded
    }

    fn upload(&self, words: &[u32], buffer: &GpuBuffer) {
        // What is recorded may be about what the buffer held before.
        self.submit();
        self.faults.during("upload");
        self.queue.write_buffer(&buffer.buffer, 0, bytemuck::cast_slice(words));
        count(&self.counters, |counters| counters.written_bytes += words.len() as u64 * 4);
    }
}
