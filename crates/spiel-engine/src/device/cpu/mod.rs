//! The CPU: operations run at once, on a pool of threads where there is one.

mod block_ops;
mod profiler;
mod training_ops;
mod weights;
mod work;

use super::{Gated, Memory, OperationSizes};
use crate::arena::zeros;
use crate::error::Result;
use crate::host::threads::Pool;
use crate::protocol::Profile;
use half::bf16;
use profiler::Profiler;
use spiel_kernels::element::Element;
use spiel_kernels::ops::delta::tile_words;
use spiel_kernels::ops::glu;
use spiel_kernels::ops::probe::{
    COPY_WORDS, bf16_probe, bf16_probe_work, copy_probe, copy_probe_program, fma_probe,
    fma_probe_work,
};
use spiel_kernels::product::{Unit, scratch_words};
use spiel_kernels::program::Work;

/// Calls of each probe for a copy of all their memory.
const PROBE_PARTS: usize = 16;

/// 32-bit words, read as floats or as integers.
pub(crate) struct Words(Vec<u32>);

impl Words {
    fn floats(&self) -> &[f32] {
        bytemuck::cast_slice(&self.0)
    }

    fn floats_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    fn halves(&self) -> &[bf16] {
        bytemuck::cast_slice(&self.0)
    }

    fn halves_mut(&mut self) -> &mut [bf16] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl<'a> Gated<'a, Words> {
    fn numbers(&self) -> glu::Gated<'a> {
        match self.element {
            Element::Bf16 => glu::Gated::Bf16(self.gate.halves(), self.up.halves()),
            _ => glu::Gated::F32(self.gate.floats(), self.up.floats()),
        }
    }
}

/// The CPU device.
pub(crate) struct CpuDevice {
    pool: Pool,
    profiler: Profiler,
}

impl CpuDevice {
    /// The CPU with these threads.
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool, profiler: Profiler::default() }
    }

    /// The threads, for a host that carries out whole requests on one of them: to enter takes longer than many an
    /// operation on one token.
    pub(crate) fn pool(&self) -> Pool {
        self.pool.clone()
    }

    /// Runs an operation whose work is not counted, on the threads.
    fn run<T: Send>(&self, operation: &'static str, run: impl FnOnce() -> T + Send) -> T {
        self.profiler.time(operation, || None, || self.enter(run))
    }

    /// Runs an operation that has this to do, in sizes as on a GPU: the work of the program that does the same.
    fn perform<T: Send>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> Work,
        run: impl FnOnce() -> T + Send,
    ) -> T {
        self.profiler.time(operation, || Some(work()), || self.enter(run))
    }

    /// Moves words within memory, each so many times, on the calling thread.
    fn profile_transfer(
        &self,
        operation: &'static str,
        words: usize,
        times: usize,
        run: impl FnOnce(),
    ) {
        self.profiler.time(operation, || Some(Work::new([words], 0, times * words)), run);
    }

    fn enter<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(run),
            None => run(),
        }
    }
}

impl Memory for CpuDevice {
    type Buffer = Words;

    fn adapter(&self) -> String {
        let features =
            if cfg!(target_arch = "wasm32") { "WebAssembly SIMD" } else { std::env::consts::ARCH };
        match Unit::offered() {
            Some(unit) => format!("CPU ({features}, bf16 by {})", unit.name()),
            None => format!("CPU ({features})"),
        }
    }

    fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    fn largest_buffer(&self) -> u64 {
        u64::MAX
    }

    fn on_threads<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.run("host work", work)
    }

    fn allocate(&self, bytes: usize) -> Result<Words> {
        let words = bytes.div_ceil(4);
        zeros(words).map(Words)
    }

    fn nothing(&self) -> Words {
        Words(Vec::new())
    }

    fn operation_bytes(&self, sizes: &OperationSizes) -> u64 {
        // A window's candidates are as many as the deltas.
        let lists = if sizes.replaces { 2 } else { 1 };
        let tiles = sizes
            .modules
            .iter()
            .map(|module| tile_words([module.inputs, module.outputs], lists * module.deltas));
        let products = scratch_words(sizes.element == Element::Bf16);
        4 * (self.threads() * (products + tiles.max().unwrap_or(0) + sizes.capped)) as u64
    }

    fn write(&self, buffer: &mut Words, offset_bytes: usize, bytes: &[u8]) {
        let to = &mut bytemuck::cast_slice_mut(&mut buffer.0)[offset_bytes..][..bytes.len()];
        self.profile_transfer("write", bytes.len().div_ceil(4), 2, || to.copy_from_slice(bytes));
    }

    async fn read(&self, buffer: &Words, offset_bytes: usize, bytes: usize) -> Result<Vec<u8>> {
        Ok(buffer.bytes()[offset_bytes..][..bytes].to_vec())
    }

    fn copy(&self, from: &Words, count: usize, to: &mut Words, at: usize) {
        let (from, to) = (&from.0[..count], &mut to.0[at..at + count]);
        self.profile_transfer("copy", count, 2, || to.copy_from_slice(from));
    }

    fn clear(&self, buffer: &mut Words) {
        self.profile_transfer("clear", buffer.0.len(), 1, || buffer.0.fill(0));
    }

    async fn keep_up(&self) -> Result<()> {
        Ok(())
    }

    fn probe(&self, repeats: usize) -> Result<()> {
        let (mut from, mut to) = (zeros(COPY_WORDS)?, zeros(COPY_WORDS)?);
        // Only what has been written has memory of its own behind it.
        from.fill(1);
        to.fill(1);
        let part = COPY_WORDS / PROBE_PARTS;
        let unit = Unit::offered().filter(|unit| unit.is_right());
        for _ in 0..repeats {
            // In turn, so that no part is still in a cache when its turn comes again.
            for (from, to) in from.chunks_exact(part).zip(to.chunks_exact_mut(part)) {
                self.perform("fma_probe", || fma_probe_work(self.threads()), fma_probe);
                if let Some(unit) = unit {
                    let work = || bf16_probe_work(self.threads());
                    self.perform("probe_bf16", work, || bf16_probe(unit));
                }
                let work = || copy_probe_program(part).work;
                self.perform("copy_probe", work, || copy_probe(from, to));
            }
        }
        Ok(())
    }

    fn profile(&self, on: bool) {
        self.profiler.switch(on);
    }

    async fn profiled(&self) -> Result<Profile> {
        Ok(self.profiler.take())
    }
}
