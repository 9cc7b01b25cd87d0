//! Profiling: what is recorded is counted by operation, and timed where the adapter has timestamps.
//!
//! A timed dispatch has a compute pass of its own, which begins and ends with a timestamp. Every submission's timestamps
//! come back in a buffer of their own while the device goes on; they are no read-backs of a step.

use super::GpuDevice;
use super::counters::Counters;
use super::recorder::MOST_DISPATCHES;
use crate::device::profile::{ProfileTable, Timing};
use crate::error::Result;
use crate::protocol::{Profile, ProfileTotals};
use futures_channel::oneshot::Receiver;
use spiel_kernels::program::{Program, Work};
use std::collections::VecDeque;

/// Timestamps of one submission: two for each of its dispatches.
const STAMPS: u32 = 2 * MOST_DISPATCHES as u32;
const _: () = assert!(STAMPS <= wgpu::QUERY_SET_MAX_QUERIES);
const STAMP_BYTES: u64 = 8;

/// What has been gathered since the last reading.
pub(super) struct Profiler {
    on: bool,
    table: ProfileTable,
    totals: ProfileTotals,
    /// The device's counters when it was last switched on.
    since: Counters,
    /// Absent where the adapter has no timestamps.
    stamps: Option<Stamps>,
    /// The first program of each row.
    #[cfg(all(test, feature = "design"))]
    programs: std::collections::BTreeMap<usize, Program>,
}

/// The timestamps of the submission that is being recorded, and of those that are on their way.
struct Stamps {
    queries: wgpu::QuerySet,
    /// Rows of the dispatches since the last submission.
    rows: Vec<usize>,
    resolved: Option<wgpu::Buffer>,
    pending: VecDeque<Pending>,
    clock: Clock,
}

/// The device's own time.
struct Clock {
    seconds_per_tick: f64,
    /// The first tick of all.
    origin: Option<u64>,
}

impl Clock {
    /// Seconds from one tick to another, none where the GPU has reset its counter in between, as WebGPU lets it.
    fn seconds(&self, from: u64, to: u64) -> f64 {
        to.saturating_sub(from) as f64 * self.seconds_per_tick
    }
}

/// The timestamps of one submission.
struct Pending {
    staging: wgpu::Buffer,
    mapped: Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
    rows: Vec<usize>,
    /// Which time that profiling was on when it was submitted.
    period: u32,
}

impl Profiler {
    fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Self {
        let has_stamps = device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        Self {
            on: false,
            table: ProfileTable::default(),
            totals: ProfileTotals::default(),
            since: Counters::default(),
            stamps: has_stamps.then(|| Stamps::new(device, queue)),
            #[cfg(all(test, feature = "design"))]
            programs: std::collections::BTreeMap::new(),
        }
    }

    /// Whether it counts now.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Adds what was asked since it was switched on.
    fn add_until(&mut self, now: Counters) {
        let (totals, since) = (&mut self.totals, self.since);
        totals.dispatches += now.dispatches - since.dispatches;
        totals.submissions += now.submissions - since.submissions;
        totals.read_backs += now.read_backs - since.read_backs;
        totals.read_bytes += now.read_bytes - since.read_bytes;
        totals.written_bytes += now.written_bytes - since.written_bytes;
    }

    /// Counts a dispatch; returns where a pass of its own leaves its timestamps.
    pub(super) fn count(
        &mut self,
        program: &Program,
    ) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let row = self.table.count(program.label, Some(program.work));
        #[cfg(all(test, feature = "design"))]
        self.programs.entry(row).or_insert_with(|| program.clone());
        let stamps = self.stamps.as_mut()?;
        let begin = 2 * stamps.rows.len() as u32;
        stamps.rows.push(row);
        Some(wgpu::ComputePassTimestampWrites {
            query_set: &stamps.queries,
            beginning_of_pass_write_index: Some(begin),
            end_of_pass_write_index: Some(begin + 1),
        })
    }
}

impl Profiler {
    /// Records the way of the timestamps into memory, before what they time is submitted.
    pub(super) fn before_submission(
        &mut self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
    ) {
        if let Some(stamps) = &mut self.stamps {
            stamps.resolve(device, encoder);
        }
    }

    /// Asks for the timestamps of what was submitted, and takes in those that have come.
    pub(super) fn after_submission(&mut self) {
        if let Some(stamps) = &mut self.stamps {
            stamps.ask(self.table.period());
            stamps.collect(&mut self.table);
        }
    }
}

impl Stamps {
    fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Self {
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("profile"),
            ty: wgpu::QueryType::Timestamp,
            count: STAMPS,
        });
        Self {
            queries,
            rows: Vec::new(),
            resolved: None,
            pending: VecDeque::new(),
            clock: Clock {
                seconds_per_tick: f64::from(queue.get_timestamp_period()) * 1e-9,
                origin: None,
            },
        }
    }

    fn resolve(&mut self, device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder) {
        let count = 2 * self.rows.len() as u32;
        if count == 0 {
            return;
        }
        let size = u64::from(count) * STAMP_BYTES;
        let buffer = |usage| {
            let label = Some("profile");
            device.create_buffer(&wgpu::BufferDescriptor {
                label,
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let staging = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        encoder.resolve_query_set(&self.queries, 0..count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, size);
        self.resolved = Some(staging);
    }

    fn ask(&mut self, period: u32) {
        let Some(staging) = self.resolved.take() else { return };
        let (sender, mapped) = futures_channel::oneshot::channel();
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            // Nobody waits for timestamps of a device that is gone.
            let _ = sender.send(result);
        });
        let rows = std::mem::take(&mut self.rows);
        self.pending.push_back(Pending { staging, mapped, rows, period });
    }

    /// Takes in the timestamps that have come.
    fn collect(&mut self, table: &mut ProfileTable) {
        while let Some(first) = self.pending.front_mut() {
            let Ok(Some(result)) = first.mapped.try_recv() else { return };
            let Some(first) = self.pending.pop_front() else { return };
            if result.is_ok() {
                first.take(&mut self.clock, table);
            }
        }
    }
}

impl Pending {
    fn take(self, clock: &mut Clock, table: &mut ProfileTable) {
        let view = self.staging.slice(..).get_mapped_range();
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&view);
        for (row, stamps) in self.rows.iter().zip(ticks.as_chunks::<2>().0) {
            let [begin, end] = *stamps;
            let origin = *clock.origin.get_or_insert(begin);
            table.time(Timing {
                row: *row,
                period: self.period,
                start: clock.seconds(origin, begin),
                seconds: clock.seconds(begin, end),
            });
        }
    }
}

impl GpuDevice {
    /// The first program of each row of the profile so far, by the row's number.
    #[cfg(all(test, feature = "design"))]
    pub(super) fn launched(&self) -> std::collections::BTreeMap<usize, Program> {
        self.profiler
            .borrow()
            .as_ref()
            .map(|profiler| profiler.programs.clone())
            .unwrap_or_default()
    }

    /// Whether dispatches can be timed.
    #[cfg(any(test, feature = "conformance"))]
    pub(in crate::device) fn has_timestamps(&self) -> bool {
        self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// Counts a copy or a clear, which has no time of its own.
    pub(super) fn profile_transfer(&self, operation: &'static str, words: usize) {
        if let Some(profiler) = self.profiler.borrow_mut().as_mut().filter(|profiler| profiler.on) {
            profiler.table.count(operation, Some(Work::new([words], 0, words)));
        }
    }

    /// Counts and times from now on, or no longer.
    pub(super) fn switch_profile(&self, on: bool) {
        // What is recorded belongs to the time before.
        self.submit();
        let now = self.counters.get();
        let mut profiler = self.profiler.borrow_mut();
        if on {
            let new = || Profiler::new(&self.device, &self.queue);
            let profiler = profiler.get_or_insert_with(new);
            if !profiler.on {
                profiler.table.begin_period();
            }
            (profiler.on, profiler.since) = (true, now);
        } else if let Some(profiler) = profiler.as_mut().filter(|profiler| profiler.on) {
            profiler.on = false;
            profiler.add_until(now);
        }
    }

    /// What was gathered, once all of it has happened; profiling is then off.
    pub(super) async fn take_profile(&self) -> Result<Profile> {
        self.switch_profile(false);
        let Some(mut profiler) = self.profiler.take() else { return Ok(Profile::default()) };
        if let Some(stamps) = &mut profiler.stamps {
            // In WebGPU the event loop drives the device.
            if cfg!(not(target_arch = "wasm32")) {
                let poll = wgpu::PollType::wait_indefinitely();
                self.device.poll(poll).map_err(|error| self.faults.failure(error))?;
            }
            for mut pending in std::mem::take(&mut stamps.pending) {
                let result = (&mut pending.mapped).await;
                let result = result.map_err(|error| self.faults.failure(error))?;
                result.map_err(|error| self.faults.failure(error))?;
                pending.take(&mut stamps.clock, &mut profiler.table);
            }
        }
        Ok(profiler.table.into_profile(profiler.totals))
    }
}
