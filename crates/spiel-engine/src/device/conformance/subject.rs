//! The devices under test, and buffers that are filled and read back with their guard words checked.

#![expect(clippy::expect_used, reason = "tests fail by panics")]

use crate::device::{CpuDevice, Device, GpuDevice, GpuWish};
use crate::error::Result;
use spiel_kernels::random::fill_normal;

/// A device whose buffers can be filled and taken back.
pub(super) trait Subject: Device {
    /// A buffer that holds these words, with guard words behind it where the device has them.
    fn holding(&self, words: &[u32]) -> Self::Buffer;
    /// The words of a buffer, whose guard words must be untouched.
    async fn taken(&self, buffer: &Self::Buffer, words: usize) -> Vec<u32>;

    /// The words of several buffers of one size.
    async fn all_taken(&self, buffers: &[Self::Buffer], words: usize) -> Vec<Vec<u32>> {
        let mut all = Vec::new();
        for buffer in buffers {
            all.push(self.taken(buffer, words).await);
        }
        all
    }

    /// A buffer of `words` words that no operation may count on.
    fn output(&self, words: usize) -> Self::Buffer {
        self.holding(&vec![f32::NAN.to_bits(); words])
    }
}

impl Subject for CpuDevice {
    fn holding(&self, words: &[u32]) -> Self::Buffer {
        filled(self, words)
    }

    async fn taken(&self, buffer: &Self::Buffer, words: usize) -> Vec<u32> {
        words_read(self, buffer, words).await
    }
}

impl Subject for GpuDevice {
    fn holding(&self, words: &[u32]) -> Self::Buffer {
        let guarded: Vec<u32> = words.iter().copied().chain(guard()).collect();
        filled(self, &guarded).cut_to(words.len())
    }

    async fn taken(&self, buffer: &Self::Buffer, words: usize) -> Vec<u32> {
        let mut all = words_read(self, buffer, words + guard().count()).await;
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

async fn words_read<D: Device>(device: &D, buffer: &D::Buffer, words: usize) -> Vec<u32> {
    let bytes = device.read(buffer, 0, words * 4).await.expect("a read");
    bytemuck::pod_collect_to_vec(&bytes)
}

/// Bytes of a binding of the smaller GPU.
pub(super) const SHORT_BINDING: usize = 64 << 10;

/// The GPU there is, with all that it offers, and again as small as WebGPU's defaults, with bindings so short that most
/// buffers are cut.
///
/// # Errors
/// When there is none.
pub(crate) async fn open_gpus() -> Result<Vec<GpuDevice>> {
    Ok(vec![GpuDevice::open(any_gpu()).await?, small_gpu(SHORT_BINDING as u64).await?])
}

/// The GPU as small as WebGPU's defaults, with bindings of so many bytes.
///
/// # Errors
/// When there is none.
pub(super) async fn small_gpu(binding_bytes: u64) -> Result<GpuDevice> {
    let limits =
        wgpu::Limits { max_storage_buffer_binding_size: binding_bytes, ..wgpu::Limits::default() };
    GpuDevice::open_within(any_gpu(), |_| limits).await
}

fn any_gpu() -> GpuWish<'static> {
    GpuWish { allow_software: true, ..GpuWish::default() }
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
