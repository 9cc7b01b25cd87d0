/** What people see of the trial of how gradients at the deltas are computed. */

import type { GradientTrial } from "../mod.ts";
import { formatCount } from "./format.ts";
import type { Ui } from "./ui.ts";

/** Shows the time of each way for each size of module, and which one was taken. */
export function showTrials(ui: Ui, trials: readonly GradientTrial[]): void {
  const rows = trials.map(({ inputs, outputs, deltas, sampledSeconds, denseSeconds, dense }) => [
    `${outputs} x ${inputs}, ${formatCount(deltas)} deltas`,
    milliseconds(sampledSeconds),
    milliseconds(denseSeconds),
    dense ? "dense" : "sampled",
  ]);
  ui.table(["gradients of a micro-batch", "sampled", "dense", "taken"], rows);
  ui.line();
}

function milliseconds(seconds: number): string {
  return `${(1000 * seconds).toFixed(2)} ms`;
}
