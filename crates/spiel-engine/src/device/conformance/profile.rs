//! A profile counts what was issued while it was on, by operation and shape, and times it where timestamps exist.

use super::{Subject, normal};
use crate::device::{BlockOps, Device, GpuDevice, Memory};
use crate::protocol::{Profile, ProfileCall, ProfileRow, ProfileTotals};
#[cfg(test)]
use spiel_kernels::element::Element;

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
        let Profile { operations, totals, calls, .. } = profiled(gpu).await;
        let named = |name: &str| operations.iter().find(|row| row.operation == name);
        let row = named("add").expect("additions");
        assert_eq!((row.shape.as_slice(), row.calls), (&[COUNT as u32][..], 2));
        assert_eq!(row.flops, Some(2.0 * COUNT as f64));
        assert_eq!(row.bytes, Some(2.0 * 4.0 * 3.0 * COUNT as f64));
        assert_eq!(row.seconds.is_some(), gpu.has_timestamps());
        assert!(row.seconds.is_none_or(|seconds| seconds > 0.0 && seconds < 60.0), "{row:?}");
        // Copies and clears have no time of their own.
        assert_eq!(calls.len(), if gpu.has_timestamps() { 2 } else { 0 });
        check_calls(&calls, &operations);
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

/// Calls of one period follow each other on a clock that their first one has started.
fn check_calls(calls: &[ProfileCall], operations: &[ProfileRow]) {
    let mut end = 0.0;
    for call in calls {
        assert!(call.start >= end && call.seconds >= 0.0 && call.period == 0, "{call:?}");
        assert!(operations[call.row as usize].seconds.is_some());
        end = call.start;
    }
}

#[cfg(test)]
fn a_cpu() -> crate::device::CpuDevice {
    crate::device::CpuDevice::new(None)
}

#[cfg(test)]
#[test]
fn the_cpu_counts_calls_and_times_them() {
    let Profile { operations, totals, calls, earlier_calls } =
        pollster::block_on(profiled(&a_cpu()));
    let [row, copy] = operations.as_slice() else { panic!("{operations:?}") };
    assert_eq!((row.operation.as_str(), row.calls), ("add", 2));
    assert_eq!((copy.operation.as_str(), copy.calls), ("copy", 1));
    assert_eq!((copy.shape[0] as usize, copy.bytes), (COUNT, Some(8.0 * COUNT as f64)));
    let (flops, bytes) = (2.0 * COUNT as f64, 2.0 * 4.0 * 3.0 * COUNT as f64);
    assert_eq!((row.shape[0] as usize, row.flops, row.bytes), (COUNT, Some(flops), Some(bytes)));
    assert!(row.seconds.is_some_and(|seconds| seconds > 0.0));
    assert_eq!(totals, ProfileTotals { dispatches: 3, ..ProfileTotals::default() });
    assert_eq!((calls.len(), earlier_calls), (3, 0));
    check_calls(&calls, &operations);
}

#[cfg(test)]
#[test]
fn periods_tell_when_profiling_was_on() {
    let cpu = a_cpu();
    let (x, mut y) = (cpu.holding(&normal(1, 8)), cpu.holding(&normal(2, 8)));
    for _ in 0..2 {
        cpu.profile(true);
        // On already: no other period begins.
        cpu.profile(true);
        cpu.add(&x, 8, &mut y);
        cpu.profile(false);
    }
    let periods =
        |profile: Profile| -> Vec<_> { profile.calls.iter().map(|call| call.period).collect() };
    assert_eq!(periods(pollster::block_on(read(&cpu))), [0, 1]);
    cpu.profile(true);
    cpu.add(&x, 8, &mut y);
    assert_eq!(periods(pollster::block_on(read(&cpu))), [0], "a reading begins anew");
}

#[cfg(test)]
#[test]
fn the_cpu_has_probes() {
    let cpu = a_cpu();
    cpu.profile(true);
    cpu.probe(2).expect("memory to copy");
    let operations = pollster::block_on(read(&cpu)).operations;
    let row = |name: &str| operations.iter().find(|row| row.operation == name);
    let (fma, copy) = (row("fma_probe").expect("a rate"), row("copy_probe").expect("a rate"));
    // Where the CPU has a unit for it.
    let bf16 = row("probe_bf16");
    assert_eq!(bf16.is_some(), cpu.keeps_weights_in(Element::Bf16));
    assert_eq!(operations.len(), 2 + usize::from(bf16.is_some()));
    for probe in bf16.into_iter().chain([fma]) {
        assert!(probe.calls == copy.calls, "{probe:?}");
        assert!(probe.flops > Some(0.0) && probe.seconds > Some(0.0), "{probe:?}");
    }
    // Two times 128 MiB, read and written.
    assert!(copy.bytes == Some(4.0 * f64::from(128 << 20)) && copy.seconds > Some(0.0));
}
