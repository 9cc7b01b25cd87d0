//! A profile counts what was issued while it was on, by operation and shape, and times it where timestamps exist.

use super::{Subject, normal};
use crate::device::{BlockOps, Device, GpuDevice, Memory};
use crate::protocol::{Profile, ProfileTotals};

cases! {
    what_is_asked_under_profiling,
    more_dispatches_than_a_submission_times,
}

const COUNT: usize = 1000;

/// Adds twice under profiling and once beside it, with a copy and a read-back.
async fn profiled<D: Subject>(on: &D) -> Profile {
    let (x, mut y) = (on.holding(&normal(1, COUNT)), on.holding(&normal(2, COUNT)));
    on.add(&x, COUNT, &mut y);
    on.profile(true);
    on.add(&x, COUNT, &mut y);
    on.add(&x, COUNT, &mut y);
    on.copy(&x, COUNT, &mut y, 0);
    on.read(&y, 0, 8).await.expect("a read");
    on.profile(false);
    on.add(&x, COUNT, &mut y);
    read(on).await
}

async fn read(device: &impl Device) -> Profile {
    device.profiled().await.expect("a profile")
}

async fn what_is_asked_under_profiling(gpus: &[GpuDevice]) {
    for gpu in gpus {
        let Profile { operations, totals } = profiled(gpu).await;
        let named = |name: &str| operations.iter().find(|row| row.operation == name);
        let row = named("add").expect("additions");
        assert_eq!((row.shape.as_slice(), row.calls), (&[COUNT as u32][..], 2));
        assert_eq!(row.flops, Some(2.0 * COUNT as f64));
        assert_eq!(row.bytes, Some(2.0 * 4.0 * 3.0 * COUNT as f64));
        assert_eq!(row.seconds.is_some(), gpu.has_timestamps());
        assert!(row.seconds.is_none_or(|seconds| seconds > 0.0 && seconds < 60.0), "{row:?}");
        let row = named("copy").expect("a copy");
        assert_eq!((row.calls, row.seconds, row.bytes), (1, None, Some(8.0 * COUNT as f64)));
        let expected = ProfileTotals {
            dispatches: 2,
            submissions: 1,
            read_backs: 1,
            read_bytes: 8,
            written_bytes: 0,
        };
        assert_eq!(totals, expected);
        assert!(read(gpu).await.operations.is_empty(), "a profile is read once");
    }
}

async fn more_dispatches_than_a_submission_times(gpus: &[GpuDevice]) {
    for gpu in gpus {
        let (x, mut y) = (gpu.holding(&normal(1, 8)), gpu.holding(&normal(2, 8)));
        gpu.profile(true);
        for _ in 0..5000 {
            gpu.add(&x, 8, &mut y);
        }
        let operations = read(gpu).await.operations;
        assert_eq!((operations.len(), operations[0].calls), (1, 5000));
        assert_eq!(operations[0].seconds.is_some(), gpu.has_timestamps());
    }
}

#[cfg(test)]
#[test]
fn the_cpu_counts_calls_and_times_them() {
    let cpu = crate::device::CpuDevice::open(Some(1)).expect("a CPU");
    let Profile { operations, totals } = pollster::block_on(profiled(&cpu));
    let [row] = operations.as_slice() else { panic!("{operations:?}") };
    assert_eq!((row.operation.as_str(), row.calls, row.flops), ("add", 2, None));
    assert!(row.seconds.is_some_and(|seconds| seconds > 0.0));
    assert_eq!(totals, ProfileTotals { dispatches: 2, ..ProfileTotals::default() });
}
