/** What a device can do at most, as its own probes measure it, and what is left of that in an operation. */

import type { Engine } from "../engine/engine.ts";
import type { Profile } from "../engine/protocol.gen.ts";

/** How often the probes run; of their calls the fastest counts. */
const REPEATS = 5;

/** The fastest rates of a device. */
export interface Peaks {
  /** Floating-point operations per second: multiply-adds on registers alone, in f32, each as two. */
  readonly flopsPerSecond: number;
  /** The same of products in bf16; `null` where the device has none. */
  readonly bf16FlopsPerSecond: number | null;
  /** Bytes read and written per second, by a copy of more than caches hold. */
  readonly bytesPerSecond: number;
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
  const fastest = (probe: string, amount: "flops" | "bytes"): number | null => {
    const number = operations.findIndex(({ operation }) => operation === probe);
    const row = operations[number];
    const times = calls.filter(({ row, seconds }) => row === number && seconds > 0);
    const seconds = Math.min(...times.map(({ seconds }) => seconds));
    const total = row?.[amount] ?? null;
    return row === undefined || total === null || !Number.isFinite(seconds)
      ? null
      : total / row.calls / seconds;
  };
  const flopsPerSecond = fastest("fma_probe", "flops");
  const bytesPerSecond = fastest("copy_probe", "bytes");
  return flopsPerSecond === null || bytesPerSecond === null
    ? null
    : { flopsPerSecond, bf16FlopsPerSecond: fastest("probe_bf16", "flops"), bytesPerSecond };
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
