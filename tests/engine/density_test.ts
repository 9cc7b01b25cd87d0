/** Reselection where more than half of a matrix's positions carry deltas. */

import assert from "node:assert/strict";
import type { GrowthCriterion, Optimizer } from "../../src/engine/protocol.gen.ts";
import { engineTest } from "../support/hosts.ts";
import {
  createRandomModel,
  randomBatch,
  SMALL_CONFIG,
  WEIGHTS_OPTIONS,
} from "../support/small_model.ts";

const MODULE = "model.layers.0.self_attn.q_proj";
const BATCH = randomBatch(SMALL_CONFIG.vocab_size, [9, 17], 3);

const CRITERIA: [criterion: GrowthCriterion, optimizer: Optimizer, candidates: boolean][] = [
  ["momentumApproximation", "sm3", false],
  ["accumulatedGradients", "adamw", true],
];

for (const [criterion, optimizer, candidates] of CRITERIA) {
  engineTest(`density: no more is replaced than is inactive, ${criterion}`, async (engine) => {
    const options = { ...WEIGHTS_OPTIONS, trainable: "deltas", optimizer, candidates } as const;
    const { tensors } = await engine.planModel(SMALL_CONFIG, options);
    const [rows = 0, columns = 0] = tensors.find(({ deltaModule }) =>
      deltaModule === MODULE
    )!.shape;
    const positions = rows * columns;
    const count = Math.floor(positions * 0.9);
    const deltas = [{ module: MODULE, count }];
    await createRandomModel(engine, SMALL_CONFIG, { ...options, deltas });
    await engine.attachDeltas(MODULE, count, 5);
    if (candidates) await engine.beginCandidates();
    await engine.forwardBackward(BATCH, 1);

    const before = new Set(await engine.readState(MODULE, "indices"));
    const [reply] = await engine.reselect({
      criterion,
      rate: 0.5,
      gradientAccumulationSteps: 1,
      beta1: 0.9,
      beta2: 0.999,
    });
    const after = await engine.readState(MODULE, "indices");

    assert.equal(reply!.requested, Math.floor(count / 2));
    assert.ok(reply!.replaced <= positions - count, `${reply!.replaced} replaced`);
    assert.equal(after.filter((index) => !before.has(index)).length, reply!.replaced);
    assert.equal(new Set(after).size, count);
    assert.deepEqual(after, after.toSorted());
    assert.ok(after.at(-1)! < positions);
    if (criterion === "momentumApproximation") assert.equal(reply!.replaced, positions - count);
  });
}
