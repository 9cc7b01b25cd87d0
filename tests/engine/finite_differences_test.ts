/** The gradients of whole small models against finite differences, for every flag of the configuration. */

import assert from "node:assert/strict";
import type { Engine } from "../../src/engine/engine.ts";
import { engineTest } from "../support/hosts.ts";
import {
  createRandomDeltas,
  createRandomModel,
  FLAG_CONFIGS,
  randomBatch,
  randomNumbers,
  SMALL_CONFIG,
  WEIGHTS_OPTIONS,
} from "../support/small_model.ts";

const BATCH = randomBatch(SMALL_CONFIG.vocab_size, [9, 1, 7], 17);

/** Steps along a random direction; twice the step as well, which cancels the third derivative. */
const STEP = 3e-3;

/**
 * How far a slope may be off: a part of what a gradient of this norm gives along a random direction, and what the
 * rounding of the losses to f32 comes to over the steps.
 */
const BOUND = { relative: 1e-3, rounding: 1e-3 };

/** Random directions per tensor. */
const DIRECTIONS = 2;

type Values = Float32Array<ArrayBuffer>;

/** Compares a gradient's slope along random directions of signs with that of the loss itself. */
async function checkSlopes(
  engine: Engine,
  name: string,
  values: Values,
  write: (values: Values) => Promise<void>,
): Promise<void> {
  const gradient = await engine.readState(name, "grads") as Values;
  const norm = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0));
  const random = randomNumbers(values.length);
  for (let i = 0; i < DIRECTIONS; i++) {
    const direction = values.map(() => random() < 0.5 ? -1 : 1);
    const lossAt = async (distance: number) => {
      await write(values.map((value, j) => value + distance * direction[j]!));
      return (await engine.forward(BATCH)).loss.sum!;
    };
    const near = await lossAt(STEP) - await lossAt(-STEP);
    const far = await lossAt(2 * STEP) - await lossAt(-2 * STEP);
    const slope = (8 * near - far) / (12 * STEP);
    const expected = gradient.reduce((sum, value, j) => sum + value * direction[j]!, 0);
    const difference = Math.abs(slope - expected);
    const bound = BOUND.relative * norm + BOUND.rounding;
    assert.ok(difference <= bound, `${name}: slope ${slope}, by its gradient ${expected}`);
  }
  await write(values);
}

for (const [flag, config] of Object.entries(FLAG_CONFIGS)) {
  engineTest(`finite differences: every weight, ${flag}`, async (engine) => {
    const weights = await createRandomModel(engine, config, WEIGHTS_OPTIONS);
    await engine.forwardBackward(BATCH, 1);
    for (const [name, values] of weights) {
      await checkSlopes(engine, name, values, async (changed) => {
        await engine.writeTensor(name, 0, new Uint8Array(changed.buffer));
      });
    }
  });

  engineTest(`finite differences: deltas, ${flag}`, async (engine) => {
    const modules = await createRandomDeltas(engine, config);
    await engine.forwardBackward(BATCH, 1);
    for (const module of modules.keys()) {
      const values = await engine.readState(module, "values") as Values;
      await checkSlopes(engine, module, values, async (changed) => {
        await engine.writeState(module, "values", changed);
      });
    }
  });
}
