//! The devices under test, and buffers that are filled and read back with their guard words checked.

#![expect(clippy::expect_used, reason = "tests fail by panics")]

use crate::device::{CpuDevice, Device, GpuDevice, GpuWish};
use pollster::block_on;
use spiel_kernels::random::fill_normal;

/// A device whose buffers can be filled and taken back.
pub(super) trait Subject: Device {
    /// A buffer that holds these words, with guard words behind it where the device has them.
    fn holding(&self, words: &[u32]) -> Self::Buffer;
    /// The words of a buffer, whose guard words must be untouched.
    fn taken(&self, buffer: &Self::Buffer, words: usize) -> Vec<u32>;

    /// A buffer of `words` words that no operation may count on.
    fn output(&self, words: usize) -> Self::Buffer {
        self.holding(&vec![f32::NAN.to_bits(); words])
    }
}

impl Subject for CpuDevice {
    fn holding(&self, words: &[u32]) -> Self::Buffer {
        filled(self, words)
    }

    fn taken(&self, buffer: &Self::Buffer, words: usize) -> Vec<u32> {
        words_read(self, buffer, words)
    }
}

impl Subject for GpuDevice {
    fn holding(&self, words: &[u32]) -> Self::Buffer {
        let guarded: Vec<u32> = words.iter().copied().chain(guard()).collect();
        filled(self, &guarded).cut_to(words.len())
    }

    fn taken(&self, buffer: &Self::Buffer, words: usize) -> Vec<u32> {
        let mut all = words_read(self, buffer, words + guard().count());
        assert!(all.split_off(words).into_iter().eq(guard()), "something was written behind");
        all
    }
}

fn guard() -> impl Iterator<Item = u32> {
    (0..300).map(|i| 0xC0DE_0000 + i)
}

fn filled<D: Device>(device: &D, words: &[u32]) -> D::Buffer {
    let mut buffer = device.allocate(words.len() * 4).expect("memory");
    device.write(&mut buffer, 0, bytemuck::cast_slice(words));
    buffer
}

fn words_read<D: Device>(device: &D, buffer: &D::Buffer, words: usize) -> Vec<u32> {
    let bytes = block_on(device.read(buffer, 0, words * 4)).expect("a read");
    bytemuck::pod_collect_to_vec(&bytes)
}

/// The GPUs to test: the one there is with all that it offers, and as small as WebGPU's defaults, with bindings so short
/// that most buffers are cut. Without one the test fails if `SPIEL_REQUIRE` names `native:gpu`.
pub(in crate::device) fn gpus() -> Vec<GpuDevice> {
    let small =
        |_| wgpu::Limits { max_storage_buffer_binding_size: 64 << 10, ..wgpu::Limits::default() };
    let any = || GpuWish { allow_software: true, ..GpuWish::default() };
    match block_on(GpuDevice::open(any())) {
        Ok(gpu) => vec![gpu, block_on(GpuDevice::open_within(any(), small)).expect("a small GPU")],
        Err(error) => {
            let required = std::env::var("SPIEL_REQUIRE").unwrap_or_default();
            let required = required.split(',').any(|name| name == "native:gpu");
            assert!(!required, "SPIEL_REQUIRE names native:gpu, but {error}");
            eprintln!("skipped: {error}");
            Vec::new()
        }
    }
}

/// Standard normal floats, as words.
pub(super) fn normal(seed: u32, count: usize) -> Vec<u32> {
    let mut values = vec![0.0; count];
    fill_normal(&mut values, seed, 0, 0, 1.0);
    words_of(&values)
}

/// Floats as words.
pub(super) fn words_of(values: &[f32]) -> Vec<u32> {
    bytemuck::cast_slice(values).to_vec()
}
