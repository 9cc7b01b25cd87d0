//! Bind groups, made once per pipeline and the memory that it is run on.

use super::GpuDevice;
use super::counters::count;
use super::pipelines::Pipeline;
use super::slices::Slice;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most groups that are kept: a step of the largest models needs a third of them.
const KEPT: usize = 1 << 16;

/// All bind groups, by what they bind.
#[derive(Default)]
pub(super) struct Groups {
    by_binding: HashMap<Binding, wgpu::BindGroup>,
}

impl Groups {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_binding.len()
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Binding {
    pipeline: wgpu::ComputePipeline,
    slices: Vec<(wgpu::Buffer, u64, Option<NonZeroU64>)>,
}

/// Says, when it is dropped, that a buffer was freed. Bind groups keep what they bind, so those that are kept have to go
/// with it.
pub(super) struct Freed(pub(super) Arc<AtomicBool>);

impl Drop for Freed {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl GpuDevice {
    /// Lets go of memory that nothing uses since a buffer was freed.
    pub(super) fn let_go(&self) {
        if self.freed.swap(false, Ordering::Relaxed) {
            self.groups.borrow_mut().by_binding.clear();
            self.pool.borrow_mut().clear();
        }
    }

    /// The group that binds `uniforms` and the slices for a pipeline.
    #[expect(clippy::mutable_key_type, reason = "handles are told apart by their identity")]
    pub(super) fn group(
        &self,
        label: &str,
        pipeline: &Pipeline,
        uniforms: wgpu::BufferBinding,
        slices: &[Slice],
    ) -> wgpu::BindGroup {
        let groups = &mut self.groups.borrow_mut().by_binding;
        let slices_bound = slices.iter().map(Slice::key).collect();
        let binding = Binding { pipeline: pipeline.compute.clone(), slices: slices_bound };
        if let Some(group) = groups.get(&binding) {
            return group.clone();
        }
        if groups.len() == KEPT {
            groups.clear();
        }
        let resources = std::iter::once(wgpu::BindingResource::Buffer(uniforms))
            .chain(slices.iter().map(|slice| slice.binding()));
        let entries: Vec<_> = (0..)
            .zip(resources)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout: &pipeline.layout,
            entries: &entries,
        });
        count(&self.counters, |counters| counters.bind_groups += 1);
        groups.insert(binding, group.clone());
        group
    }
}
