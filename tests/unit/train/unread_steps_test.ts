/** Steps that nobody waits for: what is read of them, and when. */

import assert from "node:assert/strict";
import type { Request } from "../../../src/engine/protocol.gen.ts";
import { SpielError } from "../../../src/errors.ts";
import { toyOptions } from "../../support/toy_run.ts";
import { runToy as run, stepsOf } from "../../support/toy_trainer.ts";

/** What steps ask the engine to read: losses, updates and nothing else. */
function readings(requests: readonly Request[]): string[] {
  let step = 1;
  return requests.flatMap((request) => {
    if (request.op === "optimizerStep") step++;
    if (request.op === "forwardBackward" && request.readLoss) return [`loss ${step}`];
    return request.op === "updateRead" ? [`update ${step - 1}`] : [];
  });
}

Deno.test("trainer: steps that are not logged read nothing, and train the same", async () => {
  const options = { ...toyOptions("spiel-ag"), evalEvery: 0, saveEvery: 0 };
  const { requests, events, fake } = await run({ ...options, logEvery: 6 }, { evaluate: null });
  assert.deepEqual(readings(requests), [
    "update 2", // before a reselection
    ...["loss 6", "loss 6", "update 6"],
    "update 7", // before a reselection
    ...["loss 12", "loss 12", "update 12", "loss 14", "loss 14", "update 14"],
  ]);
  assert.deepEqual(stepsOf(events, "step"), [6, 12, 14]);
  assert.deepEqual(stepsOf(events, "reselect"), [2, 7, 12]);
  const every = await run({ ...options, logEvery: 1 }, { evaluate: null });
  assert.deepEqual(fake.state, every.fake.state);
});

Deno.test("trainer: steps that nobody has looked at are looked at before they are kept or judged", async () => {
  const options = { ...toyOptions("spiel-ag"), logEvery: 100 };
  const { requests } = await run(options);
  // Reselections at 2, 7, 12, saves at 3, 6, 9, 12, evaluations at 4, 8, 12.
  const updates = readings(requests).filter((reading) => reading.startsWith("update"));
  assert.deepEqual(
    [...new Set(updates)],
    [2, 3, 4, 6, 7, 8, 9, 12, 14].map((step) => `update ${step}`),
  );
  const { error, saved, requests: asked } = await run(options, {
    intercept: ({ op }) =>
      op === "updateRead" ? { kind: "updateInfo", gradNorm: 1, failedStep: 2 } : undefined,
  });
  assert.ok(error instanceof SpielError && error.kind === "numeric");
  assert.match(error.message, /^The gradient of step 2 is not finite/);
  assert.deepEqual(saved, []);
  assert.ok(!asked.some(({ op }) => op === "deltaReselect"), "deltas moved by a failed step");
});
