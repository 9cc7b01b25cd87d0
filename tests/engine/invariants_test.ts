/** What must not change a result: packing, accumulation, activation checkpointing, generating, and running again. */

import assert from "node:assert/strict";
import type { Engine } from "../../src/engine/engine.ts";
import type { TrainingBatch } from "../../src/train/step.ts";
import { largestDifference, relativeDifference } from "../support/check.ts";
import { engineTest, gpuDevices, HOSTED_DEVICES } from "../support/hosts.ts";
import {
  createRandomDeltas,
  createRandomModel,
  FLAG_CONFIGS,
  randomBatch,
  sequencesOf,
  SMALL_CONFIG,
  WEIGHTS_OPTIONS,
} from "../support/small_model.ts";
import { trainSmall } from "../support/small_run.ts";

/** Sums in another order differ by rounding only. */
const ROUNDING = 1e-5;

const LENGTHS = [9, 1, 17, 5];
const BATCH = randomBatch(SMALL_CONFIG.vocab_size, LENGTHS, 3);
const EACH_ALONE = LENGTHS.map((_, index) => sequencesOf(BATCH, index, index + 1));

const LONGEST = sequencesOf(BATCH, 2, 3);

/** Where the tests run that cost little on a software adapter. */
const EVERYWHERE = [...HOSTED_DEVICES, ...await gpuDevices()];

/** The gradients of every module or tensor after these micro-batches. */
async function gradients(
  engine: Engine,
  names: Iterable<string>,
  batches: readonly TrainingBatch[],
): Promise<Map<string, Float32Array>> {
  await engine.clearGrads();
  for (const batch of batches) await engine.forwardBackward(batch, 1 / BATCH.targetTokens);
  const found = new Map<string, Float32Array>();
  for (const name of names) {
    found.set(name, await engine.readState(name, "grads") as Float32Array);
  }
  return found;
}

function assertClose(
  found: ReadonlyMap<string, Float32Array>,
  expected: ReadonlyMap<string, Float32Array>,
): void {
  for (const [name, gradient] of expected) {
    const difference = relativeDifference(found.get(name)!, gradient);
    assert.ok(difference <= ROUNDING, `the gradient of ${name} differs by ${difference}`);
  }
}

for (const [flag, config] of Object.entries(FLAG_CONFIGS)) {
  engineTest(`invariants: packed = unpacked, ${flag}`, async (engine) => {
    const modules = await createRandomDeltas(engine, config);
    const packed = (await engine.forward(BATCH, "tokenLosses")).output;
    const alone: number[] = [];
    for (const batch of EACH_ALONE) {
      alone.push(...(await engine.forward(batch, "tokenLosses")).output);
    }
    const difference = largestDifference(packed, alone);
    assert.ok(difference <= ROUNDING, `token losses differ by ${difference}`);
    assertClose(
      await gradients(engine, modules.keys(), EACH_ALONE),
      await gradients(engine, modules.keys(), [BATCH]),
    );
  });

  engineTest(`invariants: none = block, ${flag}`, async (engine) => {
    const found = [];
    for (const activationCheckpointing of ["none", "block"] as const) {
      const modules = await createRandomDeltas(engine, config, { activationCheckpointing });
      const deltas = await gradients(engine, modules.keys(), [BATCH]);
      const options = { ...WEIGHTS_OPTIONS, activationCheckpointing };
      const tensors = await createRandomModel(engine, config, options);
      const weights = await gradients(engine, tensors.keys(), [BATCH]);
      const bytes = (await engine.stats()).totalBytes;
      found.push({ deltas, weights, bytes });
    }
    const [none, block] = found;
    assert.ok(block!.bytes < none!.bytes, "block keeps as much as none");
    assert.deepEqual(block!.deltas, none!.deltas);
    assert.deepEqual(block!.weights, none!.weights);
  });

  engineTest(`invariants: generated = forward, ${flag}`, async (engine) => {
    await createRandomDeltas(engine, config, { microBatchTokens: 40 });
    const { output } = await engine.forward(LONGEST, "logits");
    const rows = (end: number) => [...output.subarray((end - 1) * config.vocab_size)];
    await engine.beginGeneration(LONGEST.tokens.length);
    let fed = 0;
    // A prompt, a few tokens together, and one at a time.
    for (const count of [8, 3, 1, 1, 1, 3]) {
      const logits = await engine.feed(LONGEST.tokens.slice(fed, fed += count));
      const difference = largestDifference([...logits], rows(fed).slice(0, config.vocab_size));
      assert.ok(difference <= ROUNDING, `logits after ${fed} tokens differ by ${difference}`);
    }
    await engine.endGeneration();
    assert.equal(fed, LONGEST.tokens.length);
  });
}

engineTest("invariants: accumulated = one big batch", async (engine) => {
  const parts = [sequencesOf(BATCH, 0, 2), sequencesOf(BATCH, 2, 3), sequencesOf(BATCH, 3, 4)];
  const modules = await createRandomDeltas(engine, SMALL_CONFIG);
  assertClose(
    await gradients(engine, modules.keys(), parts),
    await gradients(engine, modules.keys(), [BATCH]),
  );
  const weights = await createRandomModel(engine, SMALL_CONFIG, WEIGHTS_OPTIONS);
  assertClose(
    await gradients(engine, weights.keys(), parts),
    await gradients(engine, weights.keys(), [BATCH]),
  );
}, EVERYWHERE);

for (const method of ["spiel-ag", "spiel-ma", "full"] as const) {
  const run = { config: SMALL_CONFIG, method, steps: 8, seed: 11, lengths: LENGTHS };

  engineTest(`invariants: the same seed gives the same run, ${method}`, async (engine) => {
    const first = await trainSmall(engine, run);
    assert.equal(first.reselections, method === "full" ? 0 : 2);
    assert.deepEqual(await trainSmall(engine, run), first);
    const other = await trainSmall(engine, { ...run, seed: 12 });
    assert.notDeepEqual(other.losses, first.losses);
  }, EVERYWHERE);

  engineTest(`invariants: a run with none = the run with block, ${method}`, async (engine) => {
    assert.deepEqual(
      await trainSmall(engine, { ...run, activationCheckpointing: "block" }),
      await trainSmall(engine, { ...run, activationCheckpointing: "none" }),
    );
  });
}
