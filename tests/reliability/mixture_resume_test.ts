/** A run on a mixture, with examples held out of it, ends alike whether it was interrupted or not, and however its data was read. */

import assert from "node:assert/strict";
import type { RunHooks } from "../../src/train/run.ts";
import type { RunOptions } from "../../src/train/run_config.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { assertRejects } from "../support/refuses.ts";
import { TinyRun } from "../support/tiny_run.ts";
import { assertSameRemains, type Moment, remainsOf, trainUntil } from "./interruption.ts";

const STEPS = 12;

const INTERRUPTIONS: Readonly<Record<string, Moment>> = {
  "before the first step": { at: "eval", step: 0 },
  "in an accumulation": { at: "forwardBackward", step: 5, nth: 2 },
  "after an evaluation": { at: "eval", step: 8 },
};

const place = HOSTED_DEVICES.find(({ ignore }) => !ignore);

Deno.test("resume: a run on a mixture goes on with the same examples", async (t) => {
  assert.ok(place, "no host to run on");
  using tiny = new TinyRun();
  const options: Partial<RunOptions> = {
    ...{ data: [`${tiny.data}:0.7`, `${tiny.heldOut}:0.3`], evalData: undefined },
    ...{ evalSplit: 0.3, dedupe: false, epochs: 4, maxSteps: undefined, microBatchTokens: 64 },
    resume: true,
  };
  const train = async (out: string, more: Partial<RunOptions> = {}, hooks: RunHooks = {}) =>
    (await tiny.train(place, out, { ...options, ...more }, hooks)).events;
  const events = await train("whole");
  const { mixture } = events.find(({ type }) => type === "data") as { mixture?: unknown[] };
  assert.equal(mixture?.length, 2);
  const steps = events.filter(({ type }) => type === "step").length;
  assert.ok(steps >= STEPS);
  const expected = remainsOf(tiny.out("whole"), steps);
  for (const [title, moment] of Object.entries(INTERRUPTIONS)) {
    await t.step(title, async () => {
      const out = title.replaceAll(" ", "-");
      await trainUntil(moment, "stop", (hooks) => train(out, {}, hooks));
      await train(out, { dataWorkers: 2 });
      assertSameRemains(remainsOf(tiny.out(out), steps), expected, "stop");
    });
  }
  await t.step("other weights are other data", async () => {
    await trainUntil({ at: "step", step: 4 }, "stop", (hooks) => train("other", {}, hooks));
    const data = [`${tiny.data}:0.5`, `${tiny.heldOut}:0.5`];
    await assertRejects(() => train("other", { data }), "usage", "other training data");
    await assertRejects(() => train("other", { evalSplit: 0.4 }), "usage", "eval_split");
  });
});
