/** The shapes of the learning rate. */

import assert from "node:assert/strict";
import { learningRate, LR_SCHEDULES, warmupStepsOf } from "../../../src/train/lr_schedule.ts";

for (const schedule of LR_SCHEDULES) {
  Deno.test(`lr schedule ${schedule}: rises to the peak, never ends at or below zero`, () => {
    const config = { lr: 0.5, schedule, warmupSteps: 4, totalSteps: 20 };
    const rates = Array.from({ length: 20 }, (_, index) => learningRate(index + 1, config));
    assert.deepEqual(rates.slice(0, 4), [0.125, 0.25, 0.375, 0.5]);
    assert.equal(rates[4], 0.5);
    for (let index = 5; index < 20; index++) {
      assert.ok((rates[index] ?? NaN) <= (rates[index - 1] ?? NaN));
      assert.ok((rates[index] ?? NaN) > 0);
    }
  });
}

Deno.test("lr schedule: values by hand", () => {
  const base = { lr: 1, warmupSteps: 0, totalSteps: 4 };
  const course = (schedule: typeof LR_SCHEDULES[number]) =>
    [1, 2, 3, 4].map((step) => learningRate(step, { ...base, schedule }));
  assert.deepEqual(course("constant"), [1, 1, 1, 1]);
  assert.deepEqual(course("linear"), [1, 0.75, 0.5, 0.25]);
  const cosine = course("cosine");
  for (const [index, expected] of [1, 0.8535533905932737, 0.5, 0.14644660940672627].entries()) {
    assert.ok(Math.abs((cosine[index] ?? NaN) - expected) < 1e-15);
  }
});

Deno.test("lr schedule: a run that is all warm-up ends at the peak", () => {
  const config = { lr: 2, schedule: "linear", warmupSteps: 4, totalSteps: 4 } as const;
  assert.equal(learningRate(4, config), 2);
});

Deno.test("warm-up steps: whole, at least one, none for a ratio of zero", () => {
  assert.equal(warmupStepsOf(0.03, 60), 1);
  assert.equal(warmupStepsOf(0.03, 10), 1);
  assert.equal(warmupStepsOf(0.1, 55), 5);
  assert.equal(warmupStepsOf(0, 60), 0);
});
