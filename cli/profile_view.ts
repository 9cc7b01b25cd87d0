/** The table of a profile: what a step asks of the device, by operation. */

import { type ProfileReport, sumByOperation } from "../mod.ts";
import { formatAmount, formatCount, formatShare } from "./format.ts";
import type { Ui } from "./ui.ts";

/** Shows a profile, per step. */
export function showProfile(ui: Ui, { steps, seconds, totals, operations }: ProfileReport): void {
  ui.line();
  if (steps === 0) return ui.line("profile: no step was made");
  const sums = sumByOperation(operations);
  const timed = sums.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0);
  const rate = (amount: number | null, seconds: number | null) =>
    amount === null || !seconds ? "-" : (amount / seconds / 1e9).toFixed(2);
  ui.line(`profile of ${formatAmount(steps, "step")}, per step`);
  ui.table(
    ["operation", "calls", "ms", "share", "GFLOP/s", "GB/s"],
    sums.map(({ operation, calls, seconds, flops, bytes }) => [
      operation,
      perStep(calls, steps),
      seconds === null ? "-" : (1000 * seconds / steps).toFixed(3),
      seconds === null || timed === 0 ? "-" : formatShare(seconds / timed),
      flops === 0 ? "-" : rate(flops, seconds),
      rate(bytes, seconds),
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
        formatAmountPerStep(totals.submissions, steps, "submissions"),
        formatAmountPerStep(totals.readBacks, steps, "read-backs"),
      ].join(", "),
    ],
    [
      "bytes",
      `${perStep(totals.writtenBytes, steps)} written, ${perStep(totals.readBytes, steps)} read`,
    ],
  ]);
}

function formatAmountPerStep(count: number, steps: number, nouns: string): string {
  return `${perStep(count, steps)} ${nouns}`;
}

/** A count by steps: whole where it is. */
function perStep(count: number, steps: number): string {
  return count % steps === 0 ? formatCount(count / steps) : (count / steps).toFixed(1);
}
