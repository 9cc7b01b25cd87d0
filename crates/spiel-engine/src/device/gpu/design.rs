//! The kernels' design figures for a model and a GPU that are not at hand: every program of a step is launched on wgpu's
//! backend that does nothing, and what it has to do is set against what the GPU's maker says that it can do.
//!
//! Two models of one and of two blocks at full width give the figures of any number of blocks.
#![expect(clippy::expect_used, reason = "what a test cannot have fails it")]

use super::GpuDevice;
use super::adapters::Candidate;
use crate::device::conformance::fixture::{self, UPDATE, micro_batch};
use crate::protocol::{GrowthCriterion, ProfileRow};
use crate::session::Session;
use crate::training::ReselectionPlan;
use pollster::block_on;
use serde_json::json;
use spiel_kernels::ops::linear::Tiling;
use spiel_kernels::program::Program;
use std::collections::BTreeMap;
use std::fmt::Write;

const TOKENS: u32 = 2048;
const BLOCKS: u32 = 32;
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/kernels.md");

const BEGIN: &str = "<!-- figures: begin -->";
const END: &str = "<!-- figures: end -->";

/// What NVIDIA states of an H100 SXM: the data sheet, and the Hopper tuning guide for the multiprocessor's limits.
mod h100 {
    /// f32 outside of the tensor cores.
    pub(super) const FLOPS: f64 = 67e12;
    pub(super) const BYTES: f64 = 3.35e12;
    pub(super) const MULTIPROCESSORS: u64 = 132;
    pub(super) const WARPS: u64 = 64;
    pub(super) const WARP: u64 = 32;
    pub(super) const WORKGROUPS: u64 = 32;
    /// Bytes for the workgroups of a multiprocessor, and those that the system takes of each.
    pub(super) const SHARED: u64 = 228 << 10;
    pub(super) const RESERVED: u64 = 1 << 10;
    /// Of Vulkan on NVIDIA's drivers.
    pub(super) const BINDING: u64 = (1 << 31) - 4;
    pub(super) const ALIGNMENT: u32 = 32;
}

/// A row of the table: one operation, all its shapes together.
#[derive(Default)]
struct Figure {
    calls: f64,
    flops: f64,
    bytes: f64,
    /// Least seconds by arithmetic and by memory, each launch bound by its own.
    seconds: f64,
    /// Of `seconds`, those of launches that leave multiprocessors idle.
    starved: f64,
    by_memory: f64,
    /// The launch with the most work, and its workgroups.
    largest: Option<(f64, Geometry)>,
}

#[derive(Clone, Copy)]
struct Geometry {
    workgroups: u64,
    threads: u64,
    shared: u64,
}

impl Geometry {
    fn of(program: &Program) -> Self {
        let module =
            wgpu::naga::front::wgsl::parse_str(&program.source.assemble()).expect("valid WGSL");
        let context = module.to_ctx();
        let variables = module.global_variables.iter().map(|(_, variable)| variable);
        let shared = variables
            .filter(|variable| variable.space == wgpu::naga::AddressSpace::WorkGroup)
            .map(|variable| u64::from(module.types[variable.ty].inner.size(context)));
        let product = |sizes: [u32; 3]| sizes.into_iter().map(u64::from).product();
        Self {
            workgroups: product(program.workgroups),
            threads: product(module.entry_points[0].workgroup_size),
            shared: shared.sum(),
        }
    }

    /// Workgroups that a multiprocessor holds at once, as far as threads and shared memory decide.
    fn resident(self) -> u64 {
        let warps = self.threads.div_ceil(h100::WARP);
        let by_memory = h100::SHARED / (self.shared + h100::RESERVED);
        h100::WORKGROUPS.min(h100::WARPS / warps).min(by_memory)
    }

    fn occupancy(self) -> f64 {
        (self.resident() * self.threads.div_ceil(h100::WARP)) as f64 / h100::WARPS as f64
    }

    fn waves(self) -> f64 {
        self.workgroups as f64 / (self.resident() * h100::MULTIPROCESSORS) as f64
    }
}

impl Figure {
    fn add(&mut self, calls: f64, flops: f64, bytes: f64, geometry: Option<Geometry>) {
        let (arithmetic, memory) = (flops / h100::FLOPS, bytes / h100::BYTES);
        // A launch of fewer workgroups than multiprocessors leaves the rest of them idle.
        let workgroups = geometry.map_or(h100::MULTIPROCESSORS, |geometry| geometry.workgroups);
        let busy = (workgroups as f64 / h100::MULTIPROCESSORS as f64).min(1.0);
        let seconds = arithmetic.max(memory) / busy;
        self.calls += calls;
        self.flops += calls * flops;
        self.bytes += calls * bytes;
        self.seconds += calls * seconds;
        self.starved += if busy < 1.0 { calls * seconds } else { 0.0 };
        self.by_memory += if memory > arithmetic { calls * seconds } else { 0.0 };
        if let Some(geometry) = geometry
            && self.largest.is_none_or(|(most, _)| seconds > most)
        {
            self.largest = Some((seconds, geometry));
        }
    }

    fn limiter(&self) -> &'static str {
        match () {
            () if self.starved > self.seconds / 2.0 => "idle multiprocessors",
            () if self.by_memory > self.seconds / 2.0 => "memory",
            () => "f32 arithmetic",
        }
    }
}

/// A device that does nothing, with the limits of an H100.
fn hollow() -> GpuDevice {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::NOOP;
    descriptor.backend_options.noop.enable = true;
    let instance = wgpu::Instance::new(descriptor);
    let adapters = block_on(instance.enumerate_adapters(wgpu::Backends::NOOP));
    let adapter = adapters.into_iter().next().expect("the backend that does nothing");
    let candidate = Candidate::of(0, adapter);
    let device = block_on(GpuDevice::on(candidate, |offered| wgpu::Limits {
        max_storage_buffer_binding_size: h100::BINDING.min(offered.max_storage_buffer_binding_size),
        min_storage_buffer_offset_alignment: h100::ALIGNMENT,
        min_uniform_buffer_offset_alignment: 256,
        ..offered
    }));
    let device = device.expect("a device");
    device.tile_by(Tiling::Shared);
    device
}

/// LLaMA-2-7B with fewer blocks.
fn session(blocks: u32) -> Session<GpuDevice> {
    let config = fixture::config(&json!({
        "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": blocks,
        "num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 128,
        "vocab_size": 32000, "max_position_embeddings": 4096,
    }));
    let sizes = [
        ("self_attn.q_proj", 4096 * 4096),
        ("self_attn.k_proj", 4096 * 4096),
        ("self_attn.v_proj", 4096 * 4096),
        ("self_attn.o_proj", 4096 * 4096),
        ("mlp.gate_proj", 4096 * 11008),
        ("mlp.up_proj", 4096 * 11008),
        ("mlp.down_proj", 4096 * 11008),
    ];
    let modules = (0..blocks).flat_map(|block| {
        sizes.map(|(name, elements)| (format!("model.layers.{block}.{name}"), elements))
    });
    let modules: Vec<(String, usize)> = modules.collect();
    let formats: Vec<_> = modules
        .iter()
        .map(|(module, _)| format!("{module}.weight"))
        .chain(["model.embed_tokens.weight".to_owned(), "lm_head.weight".to_owned()])
        .map(|name| json!({ "name": name, "format": "bf16" }))
        .collect();
    // A density of 1 %.
    let deltas: Vec<_> = modules
        .iter()
        .map(|(module, elements)| json!({ "module": module, "count": elements / 100 }))
        .collect();
    let options = json!({ "formats": formats, "deltas": deltas, "microBatchTokens": TOKENS });
    let mut session = fixture::opened(hollow(), &config, fixture::options(&options));
    let tensors: Vec<_> = session
        .model
        .tensors()
        .map(|tensor| (tensor.name.clone(), tensor.stored_bytes()))
        .collect();
    for (name, bytes) in tensors {
        session.tensor_write(&name, 0, &vec![0; bytes]).expect("weights");
    }
    for (module, elements) in modules {
        let count = elements / 100;
        let indices: Vec<u32> = (0..count as u32).map(|slot| slot * 100).collect();
        session
            .delta_attach(&module, count as u32, 0, bytemuck::cast_slice(&indices))
            .expect("deltas");
    }
    session
}

/// What is launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// One micro-batch and the update, outside of a window.
    Step,
    /// The same as the first of a window.
    Choosing,
    /// The same, later in a window.
    Accumulating,
    Reselection,
}

/// Rows of the table by operation.
type Figures = BTreeMap<String, Figure>;
/// Operation, shape and bytes of a call, which tell variants of an operation apart.
type Key = (String, Vec<u32>, u64);
type Launches = BTreeMap<Key, (ProfileRow, Option<Geometry>)>;

fn launches(session: &mut Session<GpuDevice>, part: Part) -> Launches {
    let (shape, payload) = micro_batch(TOKENS, &[0]);
    session.window_samples = match part {
        Part::Step => None,
        Part::Choosing => Some(0),
        Part::Accumulating | Part::Reselection => Some(1),
    };
    session.device.switch_profile(true);
    if part == Part::Reselection {
        let plan = ReselectionPlan {
            criterion: GrowthCriterion::AccumulatedGradients,
            rate: 0.2,
            gradient_accumulation_steps: 1,
            betas: (0.9, 0.999),
        };
        block_on(session.reselect(&plan)).expect("a reselection");
    } else {
        block_on(session.forward_backward(shape, 1.0, &payload)).expect("a pass");
        block_on(session.optimizer_step(&UPDATE)).expect("an update");
    }
    let programs = session.device.launched();
    let rows = block_on(session.device.take_profile()).expect("a profile").operations;
    let geometry = |number: usize| programs.get(&number).map(Geometry::of);
    let with_key = |(number, row): (usize, ProfileRow)| {
        let bytes = row.bytes.unwrap_or(0.0) / f64::from(row.calls);
        let key = (row.operation.clone(), row.shape.clone(), bytes as u64);
        (key, (row, geometry(number)))
    };
    rows.into_iter().enumerate().map(with_key).collect()
}

/// The figures of `BLOCKS` blocks from those of one and of two, less what `besides` has too.
fn figures(part: Part, sessions: &mut [Session<GpuDevice>; 2], besides: Option<Part>) -> Figures {
    let [one, two] = sessions.each_mut().map(|session| launches(session, part));
    let [less_one, less_two] = sessions
        .each_mut()
        .map(|session| besides.map_or_else(Launches::new, |besides| launches(session, besides)));
    let mut figures = Figures::new();
    // Shapes that grow with the blocks are in one of the two alone: what grows evenly is extrapolated all the same.
    for (key, (row, geometry)) in one.iter().filter(|(key, _)| !two.contains_key(*key)).chain(&two)
    {
        let calls =
            |launches: &Launches| launches.get(key).map_or(0.0, |(row, _)| f64::from(row.calls));
        let (one, two) = (calls(&one) - calls(&less_one), calls(&two) - calls(&less_two));
        let total = one + f64::from(BLOCKS - 1) * (two - one);
        if total != 0.0 {
            let of_each = |amount: Option<f64>| amount.unwrap_or(0.0) / f64::from(row.calls);
            let figure = figures.entry(row.operation.clone()).or_default();
            figure.add(total, of_each(row.flops), of_each(row.bytes), *geometry);
        }
    }
    figures.retain(|_, figure| figure.calls > 0.0);
    figures
}

/// A table in Markdown, the longest operation first, with a line of sums.
fn table(title: &str, figures: &Figures) -> String {
    let sum = |amount: fn(&Figure) -> f64| figures.values().map(amount).sum::<f64>();
    let dispatches: f64 =
        figures.values().filter(|figure| figure.largest.is_some()).map(|figure| figure.calls).sum();
    let total = sum(|figure| figure.seconds);
    let mut rows: Vec<_> = figures.iter().collect();
    rows.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
    let mut text = format!(
        "{title}: {dispatches} dispatches, {:.1} TFLOP, {:.0} GB, no less than {:.0} ms.\n\n\
         | operation | launches | GFLOP | GB | FLOP/B | workgroups | threads | shared B | occupancy ≤ | waves ≥ | least ms | share | limiter |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --- |\n",
        sum(|figure| figure.flops) / 1e12,
        sum(|figure| figure.bytes) / 1e9,
        total * 1e3,
    );
    for (name, figure) in rows {
        let Figure { calls, flops, bytes, seconds, largest, .. } = figure;
        let shape = largest.map_or("| - | - | - | - | -".to_owned(), |(_, geometry)| {
            let Geometry { workgroups, threads, shared } = geometry;
            let (occupancy, waves) = (100.0 * geometry.occupancy(), geometry.waves());
            format!("| {workgroups} | {threads} | {shared} | {occupancy:.0} % | {waves:.1}")
        });
        writeln!(
            text,
            "| `{name}` | {calls} | {:.1} | {:.2} | {:.1} {shape} | {:.2} | {:.1} % | {} |",
            flops / 1e9,
            bytes / 1e9,
            flops / bytes,
            seconds * 1e3,
            100.0 * seconds / total,
            figure.limiter(),
        )
        .expect("text");
    }
    text
}

/// Compares what stands between the document's marks with what the programs say, or puts it there if
/// `SPIEL_WRITE_DESIGN` is set.
#[test]
fn the_document_has_the_figures_of_the_programs() {
    let mut sessions = [session(1), session(2)];
    let step = figures(Part::Step, &mut sessions, None);
    let choosing = figures(Part::Choosing, &mut sessions, Some(Part::Step));
    let accumulating = figures(Part::Accumulating, &mut sessions, Some(Part::Step));
    let reselection = figures(Part::Reselection, &mut sessions, None);
    let computed = [
        table("A step", &step),
        table("The first micro-batch of a window, besides", &choosing),
        table("Every later micro-batch of a window, besides", &accumulating),
        table("A reselection by accumulated gradients", &reselection),
    ]
    .join("\n");
    let document = std::fs::read_to_string(DOCUMENT).expect("the document");
    let (before, rest) = document.split_once(BEGIN).expect("a mark where the figures begin");
    let (found, after) = rest.split_once(END).expect("a mark where the figures end");
    if std::env::var_os("SPIEL_WRITE_DESIGN").is_some() {
        let written = format!("{before}{BEGIN}\n\n{computed}\n{END}{after}");
        std::fs::write(DOCUMENT, written).expect("a writable document");
        return;
    }
    // The document's formatter aligns columns and wraps lines.
    let words = |text: &str| -> Vec<String> {
        text.split(|letter: char| letter == '|' || letter.is_whitespace())
            .filter(|word| word.chars().any(|letter| !"-:".contains(letter)))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(words(found), words(&computed), "write them with SPIEL_WRITE_DESIGN=1");
}
