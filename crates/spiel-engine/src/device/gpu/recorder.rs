//! The recording that waits to be submitted: one encoder, one open pass, one ring of uniforms.

use super::GpuDevice;
use super::budget::Budget;
use super::counters::count;
use super::faults::Issued;
use super::slices::Slice;
use spiel_kernels::program::{Program, Work};

/// Uniforms of one submission. Offsets are multiples of what every device allows.
pub(super) const UNIFORM_BYTES: usize = 256 * 1024;
const UNIFORM_STRIDE: usize = 256;
pub(super) const MOST_DISPATCHES: usize = UNIFORM_BYTES / UNIFORM_STRIDE;

/// What is recorded and not yet submitted.
pub(super) struct Recorder {
    encoder: Option<wgpu::CommandEncoder>,
    pass: Option<wgpu::ComputePass<'static>>,
    uniforms: wgpu::Buffer,
    params: Vec<u8>,
    /// The operations.
    issued: Issued,
    /// What is left of the submission's budget.
    left: Budget,
}

impl Recorder {
    pub(super) fn new(device: &wgpu::Device) -> Self {
        let uniforms = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("params"),
            size: UNIFORM_BYTES as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let (params, issued, left) = (Vec::new(), Issued::default(), Budget::DEFAULT);
        Self { encoder: None, pass: None, uniforms, params, issued, left }
    }

    /// What an operation is recorded with outside of a pass.
    fn encoder(&mut self, device: &wgpu::Device) -> &mut wgpu::CommandEncoder {
        self.pass = None;
        self.encoder.get_or_insert_with(|| {
            device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
        })
    }
}

impl GpuDevice {
    /// Records a dispatch, and submits it with those before when together they are work enough.
    pub(super) fn record(&self, program: &Program, buffers: &[Slice]) {
        debug_assert_eq!(program.buffers.len(), buffers.len(), "{}", program.label);
        self.let_go();
        let is_full = {
            let Recorder { params, left, .. } = &*self.recorder.borrow();
            params.len() + UNIFORM_STRIDE > UNIFORM_BYTES || left.is_exceeded_by(&program.work)
        };
        if is_full {
            self.submit();
        }
        self.faults.during(program.label);
        self.record_dispatch(program, buffers);
        self.spend(&program.work);
    }

    /// Takes what was recorded from the budget, and submits when nothing is left.
    fn spend(&self, work: &Work) {
        let left = self.recorder.borrow().left.after(work);
        self.recorder.borrow_mut().left = left;
        if left.is_spent() {
            self.submit();
        }
    }

    fn record_dispatch(&self, program: &Program, buffers: &[Slice]) {
        let pipeline = self.pipeline(program);
        let recorder = &mut *self.recorder.borrow_mut();
        recorder.issued.add(program.label);
        let offset = recorder.params.len();
        recorder.params.extend_from_slice(bytemuck::cast_slice(&program.params));
        recorder.params.resize(offset + UNIFORM_STRIDE, 0);
        let size = std::num::NonZero::new(UNIFORM_STRIDE as u64);
        let params = wgpu::BufferBinding { buffer: &recorder.uniforms, offset: 0, size };
        let group = self.group(program.label, &pipeline, params, buffers);
        let profiler = &mut *self.profiler.borrow_mut();
        let profiler = profiler.as_mut().filter(|profiler| profiler.is_on());
        let timestamp_writes = profiler.and_then(|profiler| profiler.count(program));
        if recorder.pass.is_none() || timestamp_writes.is_some() {
            let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
            let encoder = recorder.encoder(&self.device);
            recorder.pass = Some(encoder.begin_compute_pass(&descriptor).forget_lifetime());
        }
        let Some(pass) = &mut recorder.pass else { return };
        pass.set_pipeline(&pipeline.compute);
        pass.set_bind_group(0, &group, &[offset as u32]);
        let [x, y, z] = program.workgroups;
        pass.dispatch_workgroups(x, y, z);
        count(&self.counters, |counters| counters.dispatches += 1);
    }

    /// Records a copy of `count` words to word `at`.
    pub(super) fn record_copy(
        &self,
        from: &wgpu::Buffer,
        count: usize,
        to: &wgpu::Buffer,
        at: usize,
    ) {
        self.faults.during("copy");
        let mut recorder = self.recorder.borrow_mut();
        recorder.issued.add("copy");
        let encoder = recorder.encoder(&self.device);
        encoder.copy_buffer_to_buffer(from, 0, to, at as u64 * 4, count as u64 * 4);
        self.profile_transfer("copy", 2 * count);
        drop(recorder);
        self.spend(&Work::new([count], 0, 2 * count));
    }

    /// Records a copy of `size` bytes from byte `offset` into a staging buffer.
    pub(super) fn record_read(
        &self,
        from: &wgpu::Buffer,
        offset: u64,
        staging: &wgpu::Buffer,
        size: u64,
    ) {
        let mut recorder = self.recorder.borrow_mut();
        recorder.issued.add("read-back");
        let encoder = recorder.encoder(&self.device);
        encoder.copy_buffer_to_buffer(from, offset, staging, 0, size);
    }

    /// Records zeros over the first `count` words.
    pub(super) fn record_clear(&self, buffer: &wgpu::Buffer, count: usize) {
        self.faults.during("clear");
        let mut recorder = self.recorder.borrow_mut();
        recorder.issued.add("clear");
        recorder.encoder(&self.device).clear_buffer(buffer, 0, Some(count as u64 * 4));
        self.profile_transfer("clear", count);
        drop(recorder);
        self.spend(&Work::new([count], 0, count));
    }

    /// Submits what is recorded.
    pub(super) fn submit(&self) {
        let recorder = &mut *self.recorder.borrow_mut();
        recorder.pass = None;
        recorder.left = self.budget.get();
        let issued = std::mem::take(&mut recorder.issued);
        let Some(mut encoder) = recorder.encoder.take() else { return };
        let profiler = &mut *self.profiler.borrow_mut();
        if let Some(profiler) = profiler {
            profiler.before_submission(&self.device, &mut encoder);
        }
        // Most of what is wrong with an operation shows when its recording ends.
        self.faults.during_all(issued);
        self.queue.write_buffer(&recorder.uniforms, 0, &recorder.params);
        recorder.params.clear();
        self.queue.submit([encoder.finish()]);
        count(&self.counters, |counters| counters.submissions += 1);
        if let Some(profiler) = profiler {
            profiler.after_submission();
        }
    }
}
