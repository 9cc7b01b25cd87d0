/** `trace.json`: the last calls of a profile one by one, as viewers of Chrome's Trace Event Format show them. */

import type { OpenInfo } from "../engine/engine.ts";
import type { ProfileReport } from "./profile.ts";

/** Lanes of the one process: steps above the operations that they are made of. */
const STEPS = 1, OPERATIONS = 2;

/** An event of the format: complete (`X`), with its times in microseconds, or metadata (`M`). */
export interface TraceEvent {
  /** What is shown. */
  readonly name: string;
  /** The kind of event. */
  readonly ph: "X" | "M";
  /** The process, of which there is one. */
  readonly pid: 1;
  /** The lane. */
  readonly tid: number;
  /** Begin, in microseconds since the first timed call. */
  readonly ts?: number;
  /** Duration in microseconds. */
  readonly dur?: number;
  /** What is shown of a chosen event. */
  readonly args: Readonly<Record<string, unknown>>;
}

/** The file's content; the events are in the order of their begins. `null` where no call was timed. */
export function traceRecord(
  report: ProfileReport,
  info: OpenInfo,
): Record<string, unknown> | null {
  if (report.calls.length === 0) return null;
  const { version, host, device, adapter } = info;
  return {
    displayTimeUnit: "ms",
    otherData: { version, host, device, adapter, earlier_calls: report.earlierCalls },
    traceEvents: [
      nameOf("process_name", 0, `spiel on ${adapter}`),
      nameOf("thread_name", STEPS, "steps"),
      nameOf("thread_name", OPERATIONS, "operations"),
      ...[...stepEvents(report), ...operationEvents(report)].sort(inOrder),
    ],
  };
}

function nameOf(kind: string, tid: number, name: string): TraceEvent {
  return { name: kind, ph: "M", pid: 1, tid, args: { name } };
}

/** What contains others comes before them. */
function inOrder(a: Timed, b: Timed): number {
  return a.ts - b.ts || a.tid - b.tid;
}

type Timed = TraceEvent & { readonly ts: number; readonly dur: number };

function timed(
  tid: number,
  name: string,
  [begin, end]: readonly [number, number],
  args: TraceEvent["args"],
): Timed {
  const [ts, until] = [microseconds(begin), microseconds(end)];
  // The difference of two rounded times ends where the other lane's does.
  return { name, ph: "X", pid: 1, tid, ts, dur: Number((until - ts).toFixed(3)), args };
}

/** To the nanosecond. */
function microseconds(seconds: number): number {
  return Math.round(seconds * 1e9) / 1000;
}

/** Each profiled step from its first call that is kept to its last one. */
function stepEvents({ calls, firstStep, earlierCalls }: ProfileReport): Timed[] {
  const spans = new Map<number, [number, number]>();
  for (const { period, start, seconds } of calls) {
    const [begin, end] = spans.get(period) ?? [start, start];
    spans.set(period, [Math.min(begin, start), Math.max(end, start + seconds)]);
  }
  const oldest = Math.min(...spans.keys());
  return [...spans].map(([period, span]) => {
    const cut = period === oldest && earlierCalls > 0 ? ", its end" : "";
    return timed(STEPS, `step ${firstStep + period}${cut}`, span, {});
  });
}

function operationEvents({ calls, operations }: ProfileReport): Timed[] {
  return calls.flatMap(({ row: number, start, seconds }) => {
    const row = operations[number];
    if (row === undefined) return [];
    const { operation, shape, format, flops, bytes } = row;
    const ofOne = (total: number | null) => total === null ? null : total / row.calls;
    const args = { shape, format, flops: ofOne(flops), bytes: ofOne(bytes) };
    return [timed(OPERATIONS, operation, [start, start + seconds], args)];
  });
}
