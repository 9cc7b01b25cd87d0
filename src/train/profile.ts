/** What the steps of a run ask of the device: counts and times by operation, gathered by the engine. */

import type { Engine, OpenInfo } from "../engine/engine.ts";
import type { ProfileRow, ProfileTotals } from "../engine/protocol.gen.ts";

/** What the profiled steps of a run came to. */
export interface ProfileReport {
  /** Steps that were profiled, with the reselections after them. */
  readonly steps: number;
  /** Seconds that they took. */
  readonly seconds: number;
  /** What the host asked of the device. */
  readonly totals: ProfileTotals;
  /** What ran on it, by operation, shape and format; the slowest first. */
  readonly operations: readonly ProfileRow[];
}

/** One operation, all its shapes and formats together. */
export interface OperationSum {
  /** Its name. */
  readonly operation: string;
  /** How often it ran. */
  readonly calls: number;
  /** Absent where the device does not time it. */
  readonly seconds: number | null;
  /** Absent where they are not counted. */
  readonly flops: number | null;
  /** Absent where they are not counted. */
  readonly bytes: number | null;
}

/** Profiles steps, and nothing between them. */
export class StepProfiler {
  #steps = 0;
  #seconds = 0;

  /**
   * Begins with no steps.
   *
   * @param engine What makes the steps.
   */
  constructor(private readonly engine: Engine) {}

  /** Runs a step and counts what it asks of the device. */
  async measure(step: () => Promise<void>): Promise<void> {
    await this.engine.switchProfile(true);
    const begun = performance.now();
    await step();
    await this.engine.switchProfile(false);
    this.#seconds += (performance.now() - begun) / 1000;
    this.#steps++;
  }

  /** What the steps came to; waits for the device. */
  async report(): Promise<ProfileReport> {
    const { totals, operations } = await this.engine.readProfile();
    const slowestFirst = operations.toSorted((a, b) => (b.seconds ?? 0) - (a.seconds ?? 0));
    return { steps: this.#steps, seconds: this.#seconds, totals, operations: slowestFirst };
  }
}

/** Runs a step, under profiling where that is asked for. */
export async function measured(
  profiler: StepProfiler | undefined,
  step: () => Promise<void>,
): Promise<void> {
  await (profiler?.measure(step) ?? step());
}

/** Joins the rows of each operation; the slowest first. */
export function sumByOperation(rows: readonly ProfileRow[]): OperationSum[] {
  const sums = new Map<string, OperationSum>();
  for (const { operation, calls, seconds, flops, bytes } of rows) {
    const before = sums.get(operation) ?? { operation, calls: 0, seconds: 0, flops: 0, bytes: 0 };
    sums.set(operation, {
      operation,
      calls: before.calls + calls,
      seconds: sumOf(before.seconds, seconds),
      flops: sumOf(before.flops, flops),
      bytes: sumOf(before.bytes, bytes),
    });
  }
  return [...sums.values()].sort((a, b) => (b.seconds ?? 0) - (a.seconds ?? 0));
}

/** A sum of which no part is missing. */
function sumOf(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}

/** `profile.json`: the report with the rates that follow from it. */
export function profileRecord(report: ProfileReport, info: OpenInfo): Record<string, unknown> {
  const { steps, seconds, totals, operations } = report;
  const rate = (amount: number | null, time: number | null) =>
    amount === null || time === null || time === 0 ? null : amount / time / 1e9;
  return {
    engine: { version: info.version, host: info.host, device: info.device, adapter: info.adapter },
    steps,
    seconds,
    totals: {
      dispatches: totals.dispatches,
      submissions: totals.submissions,
      read_backs: totals.readBacks,
      read_bytes: totals.readBytes,
      written_bytes: totals.writtenBytes,
    },
    operations: operations.map((row) => ({
      ...row,
      gflops_per_second: rate(row.flops, row.seconds),
      gigabytes_per_second: rate(row.bytes, row.seconds),
    })),
  };
}
