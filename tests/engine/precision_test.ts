/** Products that round: what they change, what they save, and where they are refused. */

import assert from "node:assert/strict";
import type { Engine } from "../../src/engine/engine.ts";
import type { ModelPlan, Precision, WeightFormat } from "../../src/engine/protocol.gen.ts";
import { createModel, inferenceUse, type ModelUse, planModel } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import { engineTest, gpuDevices, HOSTED_DEVICES } from "../support/hosts.ts";
import { randomBatch, randomNumbers } from "../support/small_model.ts";

const MODEL = new URL("../golden/tiny_llama", import.meta.url).pathname;

/** Long enough that no product is taken straight from stored weights. */
const BATCH = randomBatch(256, [23, 41], 3);

/** Deltas of one module in each block. */
const MODULES = [0, 1].map((layer) => `model.layers.${layer}.mlp.up_proj`);
const COUNT = 900;

const USE: ModelUse = {
  ...inferenceUse(BATCH.tokens.length, MODULES.map((module) => ({ module, count: COUNT }))),
  trainable: "deltas",
};

/** Looked up as it is stored, and never multiplied: the model's head is another matrix. */
const EMBEDDING = "model.embed_tokens.weight";

/** Stored bytes of matrices, each with its format. */
type Matrices = ReadonlyMap<string, { format: WeightFormat; bytes: Uint8Array | null }>;

/** Creates the model with its matrices stored so, where bytes are absent its own, and deltas of zero. */
async function create(
  engine: Engine,
  precision: Precision,
  matrices: Matrices,
  use: ModelUse = USE,
): Promise<ModelPlan> {
  using source = openModelSource(MODEL);
  const { plan, options } = await planModel(engine, source, { ...use, precision });
  const formats = [...matrices].map(([name, { format }]) => ({ name, format }));
  const created = await createModel(engine, source, { plan, options: { ...options, formats } });
  for (const [name, { bytes }] of matrices) {
    if (bytes !== null) await engine.writeTensor(name, 0, bytes);
  }
  for (const module of MODULES) await engine.attachDeltas(module, COUNT, 1);
  return created;
}

/** The model's own weights in a format, where their rows are whole blocks, else in bf16. */
async function ownMatrices(engine: Engine, format: WeightFormat): Promise<Matrices> {
  using source = openModelSource(MODEL);
  const { plan } = await planModel(engine, source, USE);
  const { blockElements } = engine.info.formats.find((info) => info.format === format)!;
  return new Map(plan.tensors.flatMap(({ name, shape: [, columns] }) => {
    if (columns === undefined) return [];
    return [[name, { format: columns % blockElements === 0 ? format : "bf16", bytes: null }]];
  }));
}

/** What the engine holds, its deltas in the matrices, and these rounded to a format. */
async function mergedMatrices(engine: Engine, { tensors }: ModelPlan, format: WeightFormat) {
  const merged = new Map<string, { format: WeightFormat; bytes: Uint8Array }>();
  for (const { name, shape: [rows = 0, columns], format: stored } of tensors) {
    if (columns === undefined) continue;
    const kept = name === EMBEDDING ? stored : format;
    merged.set(name, {
      format: kept,
      bytes: await engine.readTensor(name, 0, rows, kept, true),
    });
  }
  return merged;
}

async function writeDeltas(engine: Engine): Promise<void> {
  const random = randomNumbers(1);
  for (const module of MODULES) {
    const values = Float32Array.from({ length: COUNT }, () => 0.04 * (random() - 0.5));
    await engine.writeState(module, "values", values);
  }
}

/** The loss of every position, and the gradients at the deltas. */
async function passes(engine: Engine) {
  const { output } = await engine.forward(BATCH, "tokenLosses");
  await engine.forwardBackward(BATCH, 1 / BATCH.targetTokens);
  const gradients = [];
  for (const module of MODULES) gradients.push(await engine.readState(module, "grads"));
  return { losses: output, gradients };
}

/** The root of the mean squared difference. */
function distance(a: Float32Array, b: Float32Array): number {
  return Math.hypot(...a.map((x, i) => x - b[i]!)) / Math.sqrt(a.length);
}

engineTest("precision: f16 is refused by a CPU", async (engine) => {
  using source = openModelSource(MODEL);
  const f16 = { ...USE, precision: "f16" } as const;
  await assert.rejects(() => planModel(engine, source, f16), (error: Error) => {
    assert.equal((error as Error & { kind: string }).kind, "device");
    assert.match(error.message, /^--precision f16 needs a GPU with the feature shader-f16, /);
    assert.ok(error.message.includes(engine.info.adapter), error.message);
    return true;
  });
}, HOSTED_DEVICES);

const gpus = await gpuDevices();

for (const format of ["bf16", "q8_0", "q4_0"] as const) {
  engineTest(`precision: f16 rounds weights with their deltas once, ${format}`, async (engine) => {
    const own = await ownMatrices(engine, format);
    const plan = await create(engine, "f32", own);
    const bare = await passes(engine);
    await writeDeltas(engine);
    const exact = await passes(engine);
    const halves = await mergedMatrices(engine, plan, "f16");
    const bfloats = await mergedMatrices(engine, plan, "bf16");

    await create(engine, "f16", own);
    await writeDeltas(engine);
    const found = await passes(engine);

    // The same numbers are multiplied in the same order, forward and backward.
    await create(engine, "f32", halves);
    assert.deepEqual(found, await passes(engine));

    // A half has three bits more than a bfloat16, which makes its error an eighth of that one's, on average.
    await create(engine, "f32", bfloats);
    const [error, bfloatError, change] = [found, await passes(engine), bare]
      .map(({ losses }) => distance(losses, exact.losses)) as [number, number, number];
    const words = `errors ${error} and ${bfloatError}, of the deltas' ${change}`;
    assert.ok(0 < error && error < bfloatError / 4 && error < change / 4, words);
  }, gpus);
}

engineTest("precision: weights stored in f16 give the same bits", async (engine) => {
  const own = await ownMatrices(engine, "f16");
  await create(engine, "f32", own);
  const expected = await passes(engine);
  await create(engine, "f16", own);
  assert.deepEqual(await passes(engine), expected);
}, gpus);

engineTest("precision: f16 halves what decoded weights take", async (engine) => {
  const own = await ownMatrices(engine, "bf16");
  const workspace = async (precision: Precision) => {
    const { memory } = await create(engine, precision, own);
    return memory.rows.find(({ purpose }) => purpose === "workspace")!.bytes;
  };
  // The largest matrix is the head, [256, 64].
  assert.equal(await workspace("f32") - await workspace("f16"), 256 * 64 * 2);
}, gpus);

const cpus = HOSTED_DEVICES.filter(({ device }) => device === "cpu");

/** Runs `body` where the CPU multiplies in bf16; elsewhere the engine must say what it lacks. */
function bf16Test(name: string, body: (engine: Engine) => Promise<void>): void {
  engineTest(name, async (engine) => {
    if (engine.info.precisions.includes("bf16")) return await body(engine);
    using source = openModelSource(MODEL);
    await assert.rejects(() => planModel(engine, source, { ...USE, precision: "bf16" }), {
      kind: "device",
      message: /^--precision bf16 needs the native engine on a CPU with AMX or AVX512-BF16, /,
    });
  }, cpus);
}

for (const format of ["f32", "bf16", "q8_0", "q4_0"] as const) {
  bf16Test(
    `precision: bf16 rounds both factors, weights with their deltas once, ${format}`,
    async (engine) => {
      const own = await ownMatrices(engine, format);
      const plan = await create(engine, "f32", own);
      const bare = await passes(engine);
      await writeDeltas(engine);
      const exact = await passes(engine);
      const rounded = await mergedMatrices(engine, plan, "bf16");

      await create(engine, "bf16", own);
      await writeDeltas(engine);
      const found = await passes(engine);
      await create(engine, "bf16", rounded);
      assert.deepEqual(found, await passes(engine));

      const [error, change] = [found, bare].map(({ losses }) => distance(losses, exact.losses));
      const words = `error ${error}, of the deltas' ${change}`;
      assert.ok(0 < error! && error! < change! / 2, words);
    },
  );
}

bf16Test(
  "precision: bf16 has room for a decoded matrix",
  async (engine) => {
    const own = await ownMatrices(engine, "q8_0");
    const workspace = async (precision: Precision) => {
      const { memory } = await create(engine, precision, own);
      return memory.rows.find(({ purpose }) => purpose === "workspace")!.bytes;
    };
    // The largest is the head, [256, 64]; in f32 products decode weights on their way.
    assert.equal(await workspace("bf16") - await workspace("f32"), 256 * 64 * 2);
  },
);

bf16Test(
  "precision: bf16 gives a sequence the same bits alone and beside others",
  async (engine) => {
    await create(engine, "bf16", await ownMatrices(engine, "q8_0"));
    await writeDeltas(engine);
    const { output } = await engine.forward(BATCH, "tokenLosses");
    const [, end] = BATCH.cuSeqlens as unknown as [number, number];
    const targets = BATCH.targets.subarray(0, end);
    const alone = {
      tokens: BATCH.tokens.subarray(0, end),
      targets,
      cuSeqlens: Uint32Array.of(0, end),
    };
    const { output: losses } = await engine.forward(alone, "tokenLosses");
    assert.deepEqual([...losses], [...output.subarray(0, losses.length)]);
  },
);

bf16Test("precision: bf16 keeps gates in half the memory", async (engine) => {
  using source = openModelSource(MODEL);
  const { intermediate_size: F, num_hidden_layers: L } = source.config;
  const activations = async (precision: Precision) => {
    const { plan } = await planModel(engine, source, { ...USE, precision });
    return plan.memory.rows.find(({ purpose }) => purpose === "activations")!.bytes;
  };
  const saved = await activations("f32") - await activations("bf16");
  assert.equal(saved, L * 2 * F * BATCH.tokens.length * 2);
});

bf16Test("precision: bf16 with and without checkpointing gives the same bits", async (engine) => {
  const own = await ownMatrices(engine, "q8_0");
  const results = [];
  for (const activationCheckpointing of ["none", "block"] as const) {
    await create(engine, "bf16", own, { ...USE, activationCheckpointing });
    await writeDeltas(engine);
    results.push(await passes(engine));
  }
  assert.deepEqual(results[1], results[0]);
});

engineTest("precision: auto keeps weights that are stored in f32", async (engine) => {
  using source = openModelSource(MODEL);
  const { plan } = await planModel(engine, source, { ...USE, precision: "auto" });
  assert.equal(plan.precision, "f32");
}, HOSTED_DEVICES);
