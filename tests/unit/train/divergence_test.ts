/** Which losses and gradients end a run, and which never do. */

import assert from "node:assert/strict";
import { SpielError } from "../../../src/errors.ts";
import { DivergenceGuard } from "../../../src/train/divergence.ts";

const VOCABULARY = 1000; // The loss of guessing is 6.9.

/** Feeds losses and gradient norms by step; returns the step that ended the run, and the sentence. */
function endOf(
  steps: Iterable<readonly [loss: number, gradNorm: number]>,
  vocabulary?: number,
  logEvery = 1,
) {
  const guard = new DivergenceGuard(vocabulary);
  let step = 0;
  try {
    for (const [loss, gradNorm] of steps) {
      guard.check(step += logEvery, { loss, gradNorm, tokens: 9, targetTokens: 9 }, 1e9);
    }
  } catch (error) {
    assert.ok(error instanceof SpielError && error.kind === "numeric");
    return { step, message: error.message };
  }
  return null;
}

const repeat = (count: number, loss: number, gradNorm = 1) =>
  Array.from({ length: count }, () => [loss, gradNorm] as const);

Deno.test("divergence: three steps without any gradient end a run that has not learned", () => {
  const end = endOf([...repeat(2, 3), ...repeat(2, 6.9, 0), [6.9, 1], ...repeat(9, 6.9, 0)]);
  assert.equal(end?.step, 8);
  assert.match(
    end.message,
    /^No gradient is left: its norm is 0 in steps 6 to 8, at a loss of 6.9/,
  );
  assert.match(end.message, /at learning rate 1\.0e\+9, .*; try a lower learning rate$/);
});

Deno.test("divergence: a model that knows everything has no gradient either, and goes on", () => {
  assert.equal(endOf(repeat(50, 1e-7, 0)), null);
});

Deno.test("divergence: losses far above the first and above guessing end a run", () => {
  const end = endOf([...repeat(5, 2), ...repeat(40, 30)], VOCABULARY);
  assert.equal(end?.step, 25);
  assert.match(
    end.message,
    /^The loss has exploded: it is above 10\.36 since step 6 and 30\.00 in step 25, from 2\.000/,
  );
  assert.match(end.message, /at learning rate 1\.0e\+9; try a lower learning rate$/);
});

Deno.test("divergence: of steps that are read now and then a row reaches from the first to the last", () => {
  const dead = endOf([...repeat(2, 3), ...repeat(9, 6.9, 0)], VOCABULARY, 10);
  assert.equal(dead?.step, 50);
  assert.match(dead.message, /its norm is 0 in steps 30 to 50,/);
  const exploded = endOf([...repeat(5, 2), ...repeat(9, 30)], VOCABULARY, 10);
  assert.equal(exploded?.step, 80);
  assert.match(exploded.message, /since step 60 and 30\.00 in step 80,/);
  assert.equal(endOf([...repeat(5, 2), ...repeat(2, 30), ...repeat(5, 2)], VOCABULARY, 50), null);
});

Deno.test("divergence: spikes, bad starts and runs no worse than guessing go on", () => {
  const spike = [...repeat(30, 2), ...repeat(19, 40), ...repeat(30, 2)];
  assert.equal(endOf(spike, VOCABULARY), null);
  assert.equal(endOf([...repeat(5, 2), ...repeat(100, 7)], VOCABULARY), null);
  assert.equal(endOf([...repeat(5, 14), ...repeat(100, 20)], VOCABULARY), null);
  assert.equal(endOf([...repeat(5, 2), ...repeat(100, 30)]), null);
});
