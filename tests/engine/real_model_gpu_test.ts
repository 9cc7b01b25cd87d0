/** A whole step of each growth criterion on a real model, its reselection included: the GPU in each precision against the CPU. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { Batch, Engine } from "../../src/engine/engine.ts";
import { IGNORE } from "../../src/engine/protocol.gen.ts";
import { inferenceUse, loadModel } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import { allotDeltas } from "../../src/spiel/budget.ts";
import { type Growth, GROWTHS } from "../../src/spiel/growth/mod.ts";
import { gpuDevices, HOSTED_DEVICES, isRequired } from "../support/hosts.ts";

const MODELS = Deno.env.get("SPIEL_MODELS");
const MODEL = `${MODELS}/SmolLM2-135M-Instruct.Q4_1.gguf`;

const TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
const BETAS = { beta1: 0.9, beta2: 0.999 };

/** The largest difference of a loss. In f16 every weight is rounded, which must not matter beside what a step teaches. */
const BOUNDS = { f32: 1e-3, f16: 1e-2 };

type GpuPrecision = keyof typeof BOUNDS;

/** What is tried, in f16 once, since that differs in products alone. */
const CASES: readonly (readonly [Growth, GpuPrecision])[] = [
  ...GROWTHS.map((growth) => [growth, "f32"] as const),
  [GROWTHS[0]!, "f16"],
];

/** Two sequences of real token ids, each trained on its second half: few, since a CPU may play the GPU. */
const BATCH: Batch = {
  tokens: Uint32Array.of(504, 3575, 282, 4649, 314, 7042, 30, 198, 504, 2365, 314, 253, 3464, 30),
  targets: Uint32Array.of(
    ...[IGNORE, IGNORE, IGNORE, 314, 7042, 30, 198, IGNORE],
    ...[IGNORE, IGNORE, 253, 3464, 30, IGNORE],
  ),
  cuSeqlens: Uint32Array.of(0, 8, 14),
};

/** Trains one step whose window is that step alone; returns the losses before and after the reselection. */
async function trainOneStep(
  engine: Engine,
  growth: Growth,
  precision: GpuPrecision,
): Promise<[number, number]> {
  using source = openModelSource(MODEL);
  const budget = { density: 0.01 };
  const plan = await loadModel(engine, source, {
    ...inferenceUse(BATCH.tokens.length),
    trainable: "deltas",
    precision,
    candidates: growth.needsWindow,
    optimizer: growth.optimizer,
    deltas: (plan) => allotDeltas(plan, budget, TARGETS),
  });
  for (const { module, count } of allotDeltas(plan, budget, TARGETS)) {
    await engine.attachDeltas(module, count, 1);
  }
  const trained = BATCH.targets.filter((target) => target !== IGNORE).length;

  if (growth.needsWindow) await engine.beginCandidates();
  await engine.forwardBackward(BATCH, 1 / trained);
  const learningRate = 1e-3;
  const update = { learningRate, weightDecay: 0, epsilon: 1e-8, maxGradNorm: 0, step: 1, ...BETAS };
  await engine.optimizerStep(update);
  const { loss: before } = await engine.readUpdate();
  const { criterion } = growth;
  await engine.reselect({ criterion, rate: 0.2, gradientAccumulationSteps: 1, ...BETAS });
  const { loss: { sum } } = await engine.forward(BATCH);
  return [before!, sum! / trained];
}

const [cpu] = HOSTED_DEVICES;
for (const place of (await gpuDevices()).filter(({ host }) => host === cpu!.host)) {
  const lacksModel = MODELS === undefined && !isRequired("models");
  for (const [growth, precision] of CASES) {
    const what = `a step of ${growth.method} in ${precision} on a real model`;
    const name = `${what} agrees with the CPU (${place.name})`;
    Deno.test(name, { ignore: place.ignore || lacksModel }, async () => {
      assert.ok(existsSync(MODEL), `SPIEL_MODELS holds no ${MODEL}`);
      const losses = async (where: typeof place, precision: GpuPrecision) => {
        await using engine = await where.open();
        return await trainOneStep(engine, growth, precision);
      };
      const [expected, found] = [await losses(cpu!, "f32"), await losses(place, precision)];
      assert.ok(expected[1] < expected[0] - 0.1, `the step taught too little: ${expected}`);
      found.forEach((loss, i) =>
        assert.ok(Math.abs(loss - expected[i]!) <= BOUNDS[precision], `${found} is not ${expected}`)
      );
    });
  }
}
