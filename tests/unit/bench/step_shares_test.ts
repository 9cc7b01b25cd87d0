/** What a step consists of, of a small trace. */

import assert from "node:assert/strict";
import { sharesOf, stepsOf, usualSteps } from "../../../bench/step_shares.ts";
import type { ProfileRow } from "../../../src/engine/protocol.gen.ts";
import { type TraceEvent, traceRecord } from "../../../src/train/trace.ts";
import { NOTHING_ASKED } from "../../support/fake_engine.ts";

const row = (operation: string, calls: number, flops: number | null = 0): ProfileRow => ({
  ...{ operation, shape: [], format: null, calls, seconds: 1, flops, bytes: 0 },
});

/** Operations, each with the seconds that a call of it takes. */
const ROWS: readonly (readonly [ProfileRow, number])[] = [
  [row("product_nt", 5, 5e9), 0.5],
  [row("product_nn_bf16", 5, 1e10), 0.1],
  [row("attention", 5), 0.2],
  [row("attention_backward_kv", 5), 0.1],
  [row("host work", 5, null), 0.05],
  [row("choose_candidates", 1), 3],
  [row("reselect", 1), 4],
];

/** Steps of these calls; between the second and third call of each are 50 milliseconds of nothing. */
function eventsOf(steps: readonly (readonly number[])[]): TraceEvent[] {
  let at = 0;
  const calls = steps.flatMap((numbers, period) =>
    numbers.map((number, place) => {
      const seconds = ROWS[number]![1];
      const start = at + (place === 2 ? 0.05 : 0);
      at = start + seconds;
      return { row: number, period, start, seconds };
    })
  );
  const operations = ROWS.map(([row]) => row);
  const report = { calls, operations, steps: steps.length, firstStep: 1, seconds: at };
  const info = { version: "0.1.0", host: "native", device: "cpu", adapter: "CPU" };
  const trace = traceRecord(
    { ...report, totals: NOTHING_ASKED, earlierCalls: 0, peaks: null },
    info as Parameters<typeof traceRecord>[1],
  );
  return JSON.parse(JSON.stringify(trace)).traceEvents;
}

const USUAL = [0, 1, 2, 3, 4];

Deno.test("steps have the operations that lie in them, and unusual ones are left out", () => {
  const steps = stepsOf(eventsOf([USUAL, [...USUAL, 5], USUAL, [...USUAL, 6], USUAL]));
  assert.deepEqual(steps.map(({ operations }) => operations.length), [5, 6, 5, 6, 5]);
  assert.deepEqual(steps[1]?.operations.at(-1)?.name, "choose_candidates");
  assert.ok(Math.abs(steps[0]!.seconds - 1) < 1e-6);
  assert.deepEqual(usualSteps(steps).map(({ name }) => name), ["step 3", "step 5"]);
  assert.deepEqual(usualSteps(steps.slice(0, 1)), []);
  assert.deepEqual(stepsOf([]), []);
});

Deno.test("groups have their shares of the steps, and attention is no product", () => {
  const lines = sharesOf(usualSteps(stepsOf(eventsOf([USUAL, USUAL, USUAL]))));
  assert.deepEqual(
    lines.slice(0, -1).map(({ group, share, milliseconds }) => [group, share, milliseconds]),
    [
      ["products by weights", 0.6, 600],
      ["attention, forward", 0.2, 200],
      ["attention, backward", 0.1, 100],
      ["norms, rotary positions, residuals, loss, update and all else", 0.05, 50],
    ],
  );
  assert.deepEqual(lines[0]?.["operations"], ["product_nt", "product_nn_bf16"]);
  // A call of each has 1 and 2 GFLOP.
  assert.equal(lines[0]?.["gflops_per_second"], 5);
  assert.equal(lines[3]?.["gflops_per_second"], null);
  assert.deepEqual(lines.at(-1), {
    steps: ["step 2", "step 3"],
    milliseconds: 1000,
    product_share: 0.6,
  });
});
