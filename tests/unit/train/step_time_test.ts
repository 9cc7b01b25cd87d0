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

/** An engine whose first micro-batch takes longer than the others, by a clock of its own. */
function slowStart(firstS: number, laterS: number) {
  const rates: number[] = [];
  let [batches, seconds] = [0, 0];
  const engine = {
    forwardBackward: () => {
      seconds += batches++ === 0 ? firstS : laterS;
    },
    optimizerStep: ({ learningRate }: { learningRate: number }) => rates.push(learningRate),
    readUpdate: () => {},
  };
  return { engine: engine as unknown as Engine, rates, now: () => 1000 * seconds };
}

/** Lets a clock tell the time while something runs. */
async function byClock<T>(now: () => number, run: () => Promise<T>): Promise<T> {
  const real = performance.now;
  performance.now = now;
  try {
    return await run();
  } finally {
    performance.now = real;
  }
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
  const { engine, rates, now } = slowStart(1.5, 0.25);
  asked.length = 0;
  const time = await byClock(now, () => estimateSteps(engine, stream, OPTIONS));
  assert.deepEqual(time, { seconds: 250, measured: 4, isWarm: true });
  assert.deepEqual(asked, [0, 20, 40, 60, 80]);
  assert.deepEqual(rates, [0, 0, 0, 0, 0]);
});

Deno.test("the first counts only where there is no time for another", async () => {
  for (const [firstS, seconds, isWarm] of [[12, 12_000, false], [8, 5_000, true]] as const) {
    const { engine, now } = slowStart(firstS, 5);
    const time = await byClock(now, () => estimateSteps(engine, stream, OPTIONS));
    assert.deepEqual(time, { seconds, measured: 1, isWarm });
  }
});

Deno.test("a stop stops the measurement", async () => {
  const { engine } = slowStart(0, 0);
  const stopped = () => estimateSteps(engine, stream, OPTIONS, AbortSignal.abort());
  await assertRejects(stopped, "interrupted");
});

Deno.test("a stop during the last micro-batch is a stop too", async () => {
  const { engine, now } = slowStart(12, 0);
  const stop = new AbortController();
  engine.readUpdate = () => {
    stop.abort();
    return Promise.resolve() as never;
  };
  const stopped = () => byClock(now, () => estimateSteps(engine, stream, OPTIONS, stop.signal));
  await assertRejects(stopped, "interrupted");
});
