/** Steps that nobody waits for: what is read of them, and when. */

import assert from "node:assert/strict";
import type { Request } from "../../../src/engine/protocol.gen.ts";
import { SpielError } from "../../../src/errors.ts";
import { toyOptions } from "../../support/toy_run.ts";
import { runToy as run, stepsOf } from "../../support/toy_trainer.ts";

/** Which updates the engine is asked about. */
function readings(requests: readonly Request[]): string[] {
  let step = 1;
  return requests.flatMap((request) => {
    if (request.op === "optimizerStep") step++;
    return request.op === "updateRead" ? [`update ${step - 1}`] : [];
  });
}

Deno.test("trainer: steps that are not logged read nothing, and train the same", async () => {
  const options = { ...toyOptions("spiel-ag"), evalEvery: 0, saveEvery: 0 };
  const { requests, events, fake } = await run({ ...options, logEvery: 6 }, { evaluate: null });
  assert.deepEqual(readings(requests), [
    "update 2", // before a reselection
    "update 6",
    "update 7", // before a reselection
    "update 12",
    "update 14",
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
  assert.deepEqual(
    [...new Set(readings(requests))],
    [2, 3, 4, 6, 7, 8, 9, 12, 14].map((step) => `update ${step}`),
  );
  const { error, saved, requests: asked } = await run(options, {
    intercept: ({ op }) =>
      op === "updateRead" ? { kind: "updateInfo", loss: 1, gradNorm: 1, failedStep: 2 } : undefined,
  });
  assert.ok(error instanceof SpielError && error.kind === "numeric");
  assert.match(error.message, /^The gradient of step 2 is not finite/);
  assert.deepEqual(saved, []);
  assert.ok(!asked.some(({ op }) => op === "deltaReselect"), "deltas moved by a failed step");
});

Deno.test("trainer: the step that a run stops after is told of, whatever is logged", async () => {
  const options = { ...toyOptions("spiel-ag"), logEvery: 5, evalEvery: 0, saveEvery: 0 };
  const stop = new AbortController();
  const { events, error } = await run(options, {
    evaluate: null,
    signal: stop.signal,
    intercept: (request) => {
      if (request.op === "optimizerStep" && request.update.step === 8) stop.abort();
      return undefined;
    },
  });
  assert.match(`${error}`, /Stopped after step 8/);
  assert.deepEqual(stepsOf(events, "step"), [5, 8]);
  const every = await run({ ...options, logEvery: 1 }, { evaluate: null });
  const lossAt = (of: typeof events, step: number) =>
    of.find((event) => event.type === "step" && event.step === step);
  const [told, expected] = [events, every.events].map((of) => lossAt(of, 8));
  assert.ok(told?.type === "step" && expected?.type === "step");
  assert.deepEqual([told.loss, told.gradNorm, told.lr], [
    expected.loss,
    expected.gradNorm,
    expected.lr,
  ]);
  const saved = events.find((event) => event.type === "checkpoint");
  assert.ok(saved?.type === "checkpoint" && saved.elapsedS >= told.elapsedS);
});

Deno.test("trainer: the step of an early stop is told of as well", async () => {
  const options = { ...toyOptions("spiel-ag"), logEvery: 100, evalEvery: 3, earlyStopPatience: 1 };
  let loss = 1;
  const evaluate = () => Promise.resolve({ loss: loss++, perplexity: 1, targetTokens: 1 });
  const { events, error } = await run(options, { evaluate });
  assert.equal(error, undefined);
  assert.deepEqual(stepsOf(events, "step"), [3]);
});
