/** What a device can do at most, as its own probes measure it, and what is left of that in an operation. */

import type { Engine } from "../engine/engine.ts";
import type { Profile } from "../engine/protocol.gen.ts";

/** How often the probes run; of their calls the fastest counts. */
const REPEATS = 5;

/** A quarter of a probe's calls that takes so many times the fastest one has shared the device with others. */
const MOST_SCATTER = 1.5;
/** Two measurements that differ by more were not of the same device to itself. */
const MOST_CHANGE = 1.25;

/** The fastest rates of a device. */
export interface Peaks {
  /** Floating-point operations per second: multiply-adds on registers alone, in f32, each as two. */
  readonly flopsPerSecond: number;
  /** The same of products in bf16; `null` where the device has none. */
  readonly bf16FlopsPerSecond: number | null;
  /** Bytes read and written per second, by a copy of more than caches hold. */
  readonly bytesPerSecond: number;
  /** Whether multiply-adds took about as long every time; else other programs had the device as well, and it may do more. */
  readonly isSteady: boolean;
}

/** What an operation has to do; absent where it is not counted. */
export interface Work {
  /** The operation's name; those in bf16 end with it. */
  readonly operation: string;
  /** Floating-point operations. */
  readonly flops: number | null;
  /** Bytes that must move. */
  readonly bytes: number | null;
}

/** Measures a device that computes nothing meanwhile; `null` where it times nothing. Profiling is off before and after. */
export async function measurePeaks(engine: Engine): Promise<Peaks | null> {
  await engine.switchProfile(true);
  await engine.runProbes(REPEATS);
  return peaksOf(await engine.readProfile());
}

/** The rates of the probes' fastest calls; `null` where those of `fma_probe` or `copy_probe` have no time. */
export function peaksOf({ operations, calls }: Profile): Peaks | null {
  const timesOf = (probe: string) => {
    const number = operations.findIndex(({ operation }) => operation === probe);
    const times = calls.filter(({ row, seconds }) => row === number && seconds > 0);
    return times.map(({ seconds }) => seconds).sort((a, b) => a - b);
  };
  const fastest = (probe: string, amount: "flops" | "bytes"): number | null => {
    const row = operations.find(({ operation }) => operation === probe);
    const [seconds] = timesOf(probe);
    const total = row?.[amount] ?? null;
    return row === undefined || total === null || seconds === undefined
      ? null
      : total / row.calls / seconds;
  };
  const flopsPerSecond = fastest("fma_probe", "flops");
  const bytesPerSecond = fastest("copy_probe", "bytes");
  if (flopsPerSecond === null || bytesPerSecond === null) return null;
  const times = timesOf("fma_probe");
  const isSteady = times[Math.floor(0.75 * times.length)]! <= MOST_SCATTER * times[0]!;
  const bf16FlopsPerSecond = fastest("probe_bf16", "flops");
  return { flopsPerSecond, bf16FlopsPerSecond, bytesPerSecond, isSteady };
}

/** The peaks of two measurements of one device: what it has done at its fastest. */
export function joinPeaks(a: Peaks, b: Peaks | null): Peaks {
  if (b === null) return a;
  const flops = [a.flopsPerSecond, b.flopsPerSecond];
  const [least, most] = [Math.min(...flops), Math.max(...flops)];
  return {
    flopsPerSecond: most,
    bf16FlopsPerSecond: a.bf16FlopsPerSecond && b.bf16FlopsPerSecond &&
      Math.max(a.bf16FlopsPerSecond, b.bf16FlopsPerSecond),
    bytesPerSecond: Math.max(a.bytesPerSecond, b.bytesPerSecond),
    isSteady: a.isSteady && b.isSteady && most <= MOST_CHANGE * least,
  };
}

/** Seconds that an operation takes at the peaks: the longer of its arithmetic and its traffic. `null` where not known. */
export function leastSeconds(
  { operation, flops, bytes }: Work,
  peaks: Peaks | null,
): number | null {
  if (flops === null || bytes === null || peaks === null) return null;
  const { flopsPerSecond, bf16FlopsPerSecond, bytesPerSecond } = peaks;
  const rate = operation.endsWith("_bf16") ? bf16FlopsPerSecond : flopsPerSecond;
  return rate === null ? null : Math.max(flops / rate, bytes / bytesPerSecond);
}
