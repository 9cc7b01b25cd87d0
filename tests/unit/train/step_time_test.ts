/** The estimate of a dry run: micro-batches from all over the epoch, whose updates change nothing. */
import assert from "node:assert/strict";
import type { Engine } from "../../../src/engine/engine.ts";
import type { StepOptions } from "../../../src/train/step.ts";
import { estimateSteps } from "../../../src/train/step_time.ts";
import { assertRejects } from "../../support/refuses.ts";

const UPDATE: StepOptions = {
  lossNormalization: "token",
  maxGradNorm: 1,
  weightDecay: 0,
  ...{ beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
};

const OPTIONS = { update: UPDATE, totalMicroBatches: 1000 };

/** An engine whose first micro-batch takes much longer than the others. */
function slowStart(firstMs: number, laterMs: number) {
  const rates: number[] = [];
  let batches = 0;
  const engine = {
    forwardBackward: () =>
      new Promise((done) => setTimeout(done, batches++ === 0 ? firstMs : laterMs)),
    optimizerStep: ({ learningRate }: { learningRate: number }) => rates.push(learningRate),
    readUpdate: () => {},
  };
  return { engine: engine as unknown as Engine, rates };
}

const asked: number[] = [];
const stream = {
  microBatchesIn: () => 100,
  microBatch: (index: number) => {
    asked.push(index);
    return { tokens: Uint32Array.of(1), targetTokens: 1 } as never;
  },
};

Deno.test("the time of all steps is that of a few micro-batches, without the first", async () => {
  const { engine, rates } = slowStart(1500, 10);
  asked.length = 0;
  const { seconds, measured } = await estimateSteps(engine, stream, OPTIONS);
  assert.equal(measured, 4);
  assert.deepEqual(asked, [0, 20, 40, 60, 80]);
  assert.deepEqual(rates, [0, 0, 0, 0, 0]);
  assert.ok(seconds >= 9 && seconds < 1000, `${seconds}`);
});

Deno.test("a stop stops the measurement", async () => {
  const { engine } = slowStart(0, 0);
  const stopped = () => estimateSteps(engine, stream, OPTIONS, AbortSignal.abort());
  await assertRejects(stopped, "interrupted");
});
