//! Compute pipelines, made once per source.

use super::GpuDevice;
use super::counters::count;
use spiel_kernels::assemble::Source;
use spiel_kernels::program::{Access, Program};
use std::collections::HashMap;
use std::sync::Arc;

/// A pipeline and the layout of its only bind group.
pub(super) struct Pipeline {
    pub(super) compute: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// All pipelines, by what they were made from.
#[derive(Default)]
pub(super) struct Pipelines {
    by_source: HashMap<Source, Arc<Pipeline>>,
}

impl GpuDevice {
    /// The pipeline of a program.
    pub(super) fn pipeline(&self, program: &Program) -> Arc<Pipeline> {
        let pipelines = &mut self.pipelines.borrow_mut().by_source;
        if let Some(pipeline) = pipelines.get(&program.source) {
            return Arc::clone(pipeline);
        }
        let pipeline = Arc::new(make(&self.device, program));
        count(&self.counters, |counters| counters.pipelines += 1);
        pipelines.insert(program.source.clone(), Arc::clone(&pipeline));
        pipeline
    }
}

fn make(device: &wgpu::Device, program: &Program) -> Pipeline {
    let label = Some(program.label);
    let entry = |binding: usize, ty: wgpu::BufferBindingType, has_dynamic_offset: bool| {
        wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        }
    };
    let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true)];
    entries.extend(program.buffers.iter().enumerate().map(|(index, access)| {
        let read_only = *access == Access::Read;
        entry(index + 1, wgpu::BufferBindingType::Storage { read_only }, false)
    }));
    let layout = device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label,
        source: wgpu::ShaderSource::Wgsl(program.source.assemble().into()),
    });
    let compute = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label,
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    Pipeline { compute, layout }
}
