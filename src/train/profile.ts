/** What the steps of a run ask of the device: counts and times by operation, gathered by the engine. */

import type { Engine, OpenInfo } from "../engine/engine.ts";
import type { ProfileCall, ProfileRow, ProfileTotals } from "../engine/protocol.gen.ts";
import { joinPeaks, leastSeconds, measurePeaks, type Peaks } from "./peaks.ts";

/** What the profiled steps of a run came to. */
export interface ProfileReport {
  /** Steps that were profiled, with the reselections after them; the last of a run that broke down is one of them. */
  readonly steps: number;
  /** The run's number of the first of them, above 1 where the run was resumed. */
  readonly firstStep: number;
  /** Seconds that they took. */
  readonly seconds: number;
  /** What the host asked of the device. */
  readonly totals: ProfileTotals;
  /** What ran on it, by operation, shape and format; the slowest first. */
  readonly operations: readonly ProfileRow[];
  /** The last calls that were timed; `row` is a place in `operations`, a step is a `period`. */
  readonly calls: readonly ProfileCall[];
  /** Timed calls before them. */
  readonly earlierCalls: number;
  /** What the device can do at most; `null` where it times nothing or no step was made. */
  readonly peaks: Peaks | null;
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
  /** Seconds that all of it takes at the device's peaks; absent where these or the work are not known. */
  readonly leastSeconds: number | null;
}

/** Profiles steps, and nothing between them. */
export class StepProfiler {
  #steps = 0;
  #seconds = 0;
  #peaks: Peaks | null | undefined;

  /**
   * Begins with no steps.
   *
   * @param engine What makes the steps.
   * @param firstStep The run's number of the first one.
   */
  constructor(private readonly engine: Engine, private readonly firstStep: number) {}

  /**
   * Runs a step and counts what it asks of the device, whose peaks are measured before the first one and at the end. A
   * step that breaks down was computed as well: its operations are counted, and so is it.
   */
  async measure(step: () => Promise<void>): Promise<void> {
    if (this.#peaks === undefined) this.#peaks = await measurePeaks(this.engine);
    await this.engine.switchProfile(true);
    const begun = performance.now();
    try {
      await step();
    } catch (cause) {
      // An engine that takes no more requests fails here again, and would hide why.
      await this.#end(begun).catch(() => {});
      throw cause;
    }
    await this.#end(begun);
  }

  async #end(begun: number): Promise<void> {
    this.#steps++;
    await this.engine.switchProfile(false);
    this.#seconds += (performance.now() - begun) / 1000;
  }

  /** What the steps came to; waits for the device. */
  async report(): Promise<ProfileReport> {
    const { operations, ...profile } = await this.engine.readProfile();
    const peaks = this.#peaks ? joinPeaks(this.#peaks, await measurePeaks(this.engine)) : null;
    const slowestFirst = [...operations.keys()]
      .sort((a, b) => (operations[b]!.seconds ?? 0) - (operations[a]!.seconds ?? 0));
    const places = new Map(slowestFirst.map((number, place) => [number, place]));
    return {
      steps: this.#steps,
      firstStep: this.firstStep,
      seconds: this.#seconds,
      totals: profile.totals,
      operations: slowestFirst.map((number) => operations[number]!),
      calls: profile.calls.map((call) => ({ ...call, row: places.get(call.row)! })),
      earlierCalls: profile.earlierCalls,
      peaks,
    };
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
export function sumByOperation(rows: readonly ProfileRow[], peaks: Peaks | null): OperationSum[] {
  const sums = new Map<string, OperationSum>();
  const nothing = { calls: 0, seconds: 0, flops: 0, bytes: 0, leastSeconds: 0 };
  for (const row of rows) {
    const { operation } = row;
    const before = sums.get(operation) ?? { operation, ...nothing };
    sums.set(operation, {
      operation,
      calls: before.calls + row.calls,
      seconds: sumOf(before.seconds, row.seconds),
      flops: sumOf(before.flops, row.flops),
      bytes: sumOf(before.bytes, row.bytes),
      leastSeconds: sumOf(before.leastSeconds, leastSeconds(row, peaks)),
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
  const { steps, firstStep, seconds, totals, operations, peaks } = report;
  const ratio = (amount: number | null, time: number | null) =>
    amount === null || time === null || time === 0 ? null : amount / time;
  const rate = (amount: number | null, time: number | null) => ratio(amount, time && 1e9 * time);
  return {
    engine: { version: info.version, host: info.host, device: info.device, adapter: info.adapter },
    first_step: firstStep,
    steps,
    seconds,
    peaks: peaks === null ? null : {
      gflops_per_second: peaks.flopsPerSecond / 1e9,
      bf16_gflops_per_second: peaks.bf16FlopsPerSecond && peaks.bf16FlopsPerSecond / 1e9,
      gigabytes_per_second: peaks.bytesPerSecond / 1e9,
      steady: peaks.isSteady,
    },
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
      share_of_peak: ratio(leastSeconds(row, peaks), row.seconds),
    })),
  };
}
