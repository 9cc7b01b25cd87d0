/** The table of the trial of how gradients at the deltas are computed. */

import assert from "node:assert/strict";
import { showTrials } from "../../cli/trials_view.ts";
import { Ui } from "../../cli/ui.ts";
import { rememberingTerminal } from "./terminal_fixture.ts";

Deno.test("a trial is shown by size of module, with the way that was taken", () => {
  const terminal = rememberingTerminal();
  const module = { inputs: 4096, outputs: 11008, deltas: 450_888 };
  showTrials(new Ui(terminal, false), [
    { ...module, sampledSeconds: 0.0205, denseSeconds: 0.0125, dense: true },
    { ...module, deltas: 1000, sampledSeconds: 0.0001, denseSeconds: 0.0125, dense: false },
  ]);
  const lines = terminal.out.split("\n").map((line) => line.trim().replaceAll(/ {2,}/g, " | "));
  assert.deepEqual(lines.filter((line) => line !== ""), [
    "gradients of a micro-batch | sampled | dense | taken",
    "11008 x 4096, 450,888 deltas | 20.50 ms | 12.50 ms | dense",
    "11008 x 4096, 1,000 deltas | 0.10 ms | 12.50 ms | sampled",
  ]);
});
