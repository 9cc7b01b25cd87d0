/** Examples of real data, packed as a run packs them, train a real model as each of them alone does. */

import assert from "node:assert/strict";
import { loadDataset } from "../../src/data/load_dataset.ts";
import { IGNORE, joinExamples } from "../../src/data/packing.ts";
import { MicroBatchStream } from "../../src/data/sampler.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { inferenceUse, loadModel } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import { tokenizerOf } from "../../src/model/tokenizer.ts";
import { allotDeltas } from "../../src/spiel/budget.ts";
import type { TrainingBatch } from "../../src/train/step.ts";
import { relativeDifference } from "../support/check.ts";
import { gpuDevices, HOSTED_DEVICES, type HostedDevice, isRequired } from "../support/hosts.ts";
import { PROJECTIONS } from "../support/small_model.ts";

/** Sums in another order differ by rounding only. */
const ROUNDING = 1e-5;

/** What is trained on, and how much of it. */
interface Case {
  readonly model: string;
  readonly data: string;
  readonly map?: Readonly<Record<string, string>>;
  readonly microBatchTokens: number;
  readonly maxLength: number;
  readonly places: readonly HostedDevice[];
}

const DEMO = new URL("../../examples/demo/", import.meta.url).pathname;

const GPUS = await gpuDevices();

const SMOLLM2 = {
  model: `${Deno.env.get("SPIEL_MODELS")}/SmolLM2-135M-Instruct.Q4_1.gguf`,
  data: `${Deno.env.get("SPIEL_DATA")}/gsm8k/validation.jsonl`,
};

/** The large model once a device, and on a GPU on few tokens, since a CPU may play it. */
const CASES: Record<string, Case> = {
  "the demo": {
    model: `${DEMO}model`,
    data: `${DEMO}train.jsonl`,
    microBatchTokens: 128,
    maxLength: 64,
    places: [...HOSTED_DEVICES, ...GPUS],
  },
  "SmolLM2 on GSM8K": {
    ...SMOLLM2,
    map: { prompt: "question", completion: "answer" },
    microBatchTokens: 384,
    maxLength: 192,
    places: HOSTED_DEVICES.slice(0, 1),
  },
  "SmolLM2 on answers of GSM8K": {
    ...SMOLLM2,
    map: { text: "answer" },
    microBatchTokens: 36,
    maxLength: 12,
    places: GPUS.slice(0, 1),
  },
};

/** Loss summed over all targets, and the gradient of every module. */
async function lossAndGradients(
  engine: Engine,
  modules: readonly string[],
  batches: readonly TrainingBatch[],
) {
  await engine.clearGrads();
  const targets = batches.reduce((sum, { targetTokens }) => sum + targetTokens, 0);
  let loss = 0;
  for (const batch of batches) {
    loss += (await engine.forward(batch)).loss.sum!;
    await engine.forwardBackward(batch, 1 / targets);
  }
  const gradients = new Map<string, Float32Array>();
  for (const module of modules) {
    gradients.set(module, await engine.readState(module, "grads") as Float32Array);
  }
  return { loss: loss / targets, gradients };
}

async function compare(engine: Engine, { model, data, map = {}, ...limits }: Case): Promise<void> {
  using source = openModelSource(model);
  const { tokenizer } = tokenizerOf(source);
  const { maxLength, microBatchTokens } = limits;
  const dataset = await loadDataset({ paths: [data], tokenizer, map, maxLength });
  const stream = new MicroBatchStream(dataset, { seed: 1, policy: "ffd", microBatchTokens });
  const examples = stream.examplesOf(0);
  assert.ok(examples.length > 1, "several examples in one micro-batch");

  const plan = await loadModel(engine, source, {
    ...inferenceUse(microBatchTokens),
    trainable: "deltas",
    deltas: (plan) => allotDeltas(plan, { density: 0.01 }, PROJECTIONS),
  });
  const modules: string[] = [];
  for (const { module, count } of allotDeltas(plan, { density: 0.01 }, PROJECTIONS)) {
    await engine.attachDeltas(module, count, 1);
    modules.push(module);
  }
  const packed = stream.microBatch(0);
  const alone = examples.map((example) => joinExamples([dataset.example(example)]));
  assert.equal(packed.targets.filter((target) => target !== IGNORE).length, packed.targetTokens);
  const found = await lossAndGradients(engine, modules, [packed]);
  const expected = await lossAndGradients(engine, modules, alone);
  const difference = Math.abs(found.loss - expected.loss) / expected.loss;
  assert.ok(difference <= ROUNDING, `the loss differs by ${difference}`);
  for (const [module, gradient] of expected.gradients) {
    const difference = relativeDifference(found.gradients.get(module)!, gradient);
    assert.ok(difference <= ROUNDING, `the gradient of ${module} differs by ${difference}`);
  }
}

const lacksFolders = ["SPIEL_MODELS", "SPIEL_DATA"].some((name) => !Deno.env.has(name));

for (const [name, one] of Object.entries(CASES)) {
  const isLacking = one.model === SMOLLM2.model && lacksFolders && !isRequired("models");
  for (const place of one.places) {
    const ignore = place.ignore || isLacking;
    Deno.test(`packed = unpacked, ${name} (${place.name})`, { ignore }, async () => {
      await using engine = await place.open();
      await compare(engine, one);
    });
  }
}
