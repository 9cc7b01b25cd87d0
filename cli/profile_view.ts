/** The table of a profile: what a step asks of the device, by operation. */

import { type ProfileReport, sumByOperation } from "../mod.ts";
import { formatAmount, formatCount, formatShare } from "./format.ts";
import type { Ui } from "./ui.ts";

/** Shows a profile, per step. */
export function showProfile(ui: Ui, report: ProfileReport): void {
  const { steps, firstStep, seconds, totals, operations, peaks } = report;
  ui.line();
  if (steps === 0) return ui.line("profile: no step was made");
  const sums = sumByOperation(operations, peaks);
  const timed = sums.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0);
  const since = firstStep === 1 ? "" : ` from step ${firstStep} on`;
  ui.line(`profile of ${formatAmount(steps, "step")}${since}, per step`);
  showKnown(
    ui,
    ["operation", "calls", "ms", "share", "GFLOP/s", "GB/s", "of peak"],
    sums.map(({ operation, calls, seconds, flops, bytes, leastSeconds }) => [
      operation,
      perStep(calls, steps),
      seconds === null ? "-" : (1000 * seconds / steps).toFixed(3),
      seconds === null || timed === 0 ? "-" : formatShare(seconds / timed),
      flops === null || flops === 0 || !seconds ? "-" : formatGiga(flops / seconds),
      bytes === null || bytes === 0 || !seconds ? "-" : formatGiga(bytes / seconds),
      leastSeconds === null || !seconds ? "-" : formatShare(leastSeconds / seconds),
    ]),
  );
  ui.line();
  ui.facts([
    [
      "time",
      `${(1000 * seconds / steps).toFixed(1)} ms, of which ${
        (1000 * timed / steps).toFixed(1)
      } ms in operations`,
    ],
    [
      "asked for",
      [
        formatAmountPerStep(totals.dispatches, steps, "dispatches"),
        // A CPU is asked for nothing else: there is no queue, and no memory but the program's.
        ...(totals.submissions + totals.readBacks === 0 ? [] : [
          formatAmountPerStep(totals.submissions, steps, "submissions"),
          formatAmountPerStep(totals.readBacks, steps, "read-backs"),
        ]),
      ].join(", "),
    ],
    ...(peaks === null ? [] : [
      [
        "peaks",
        [
          `${formatGiga(peaks.flopsPerSecond)} GFLOP/s in f32 by multiply-adds alone`,
          ...(peaks.bf16FlopsPerSecond === null
            ? []
            : [`${formatGiga(peaks.bf16FlopsPerSecond)} in bf16`]),
          `${formatGiga(peaks.bytesPerSecond)} GB/s by copying`,
        ].join(", "),
      ] as const,
    ]),
    ...(peaks === null || peaks.isSteady ? [] : [
      [
        "busy",
        "the peaks' probes scatter, as other programs run too: shares of a peak may be far off",
      ] as const,
    ]),
    ...(totals.writtenBytes + totals.readBytes === 0 ? [] : [
      [
        "bytes",
        `${perStep(totals.writtenBytes, steps)} written, ${perStep(totals.readBytes, steps)} read`,
      ] as const,
    ]),
  ]);
}

/** Shows a table without the columns of which nothing is known, such as rates on a device that counts no bytes. */
function showKnown(ui: Ui, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const isKnown = head.map((_, column) => rows.some((row) => row[column] !== "-"));
  const known = (row: readonly string[]) => row.filter((_, column) => isKnown[column]);
  ui.table(known(head), rows.map(known));
}

function formatGiga(rate: number): string {
  return (rate / 1e9).toFixed(2);
}

function formatAmountPerStep(count: number, steps: number, nouns: string): string {
  return `${perStep(count, steps)} ${nouns}`;
}

/** A count by steps: whole where it is. */
function perStep(count: number, steps: number): string {
  return count % steps === 0 ? formatCount(count / steps) : (count / steps).toFixed(1);
}
