/** What an engine does over its life on every host and device: opening, planning, refusing, replacing, closing. */

import assert from "node:assert/strict";
import type { Engine } from "../../src/engine/engine.ts";
import { IGNORE, type ModelConfig } from "../../src/engine/protocol.gen.ts";
import { inferenceUse, loadModel, type ModelUse, planModel } from "../../src/model/load.ts";
import { formatBytes } from "../../src/model/memory.ts";
import { openModelSource } from "../../src/model/source.ts";
import { allotDeltas } from "../../src/spiel/budget.ts";
import { engineTest, HOSTED_DEVICES } from "../support/hosts.ts";

const MODEL = decodeURIComponent(new URL("../golden/tiny_llama", import.meta.url).pathname);
const Q_PROJ = "model.layers.0.self_attn.q_proj";

const TRAINING: ModelUse = {
  ...inferenceUse(64),
  trainable: "deltas",
  deltas: (plan) => allotDeltas(plan, { density: 0.03 }, ["q_proj", "down_proj"]),
  candidates: true,
};

/** A micro-batch of two sequences. */
function batch(first = 5) {
  const tokens = Uint32Array.from({ length: 20 }, (_, t) => (first + 7 * t) % 256);
  const targets = Uint32Array.from(tokens, (_, t) => t === 11 ? IGNORE : tokens[t + 1] ?? IGNORE);
  return { tokens, targets, cuSeqlens: Uint32Array.of(0, 12, 20) };
}

async function load(engine: Engine, use: ModelUse) {
  using source = openModelSource(MODEL);
  return await loadModel(engine, source, use);
}

async function attachAll(engine: Engine, seed: number): Promise<void> {
  const plan = await load(engine, TRAINING);
  for (const { module, count } of TRAINING.deltas(plan)) {
    await engine.attachDeltas(module, count, seed);
  }
}

engineTest("lifecycle: info tells the device, its threads and formats", async (engine) => {
  const { device, adapter, threads, formats, version } = engine.info;
  assert.ok(device === "cpu" || device === "gpu");
  assert.ok(adapter.length > 0 && threads >= 1 && version.length > 0);
  assert.deepEqual(formats.find(({ format }) => format === "f32"), {
    format: "f32",
    blockElements: 1,
    blockBytes: 4,
  });
  assert.equal((await engine.stats()).totalBytes, 0);
});

engineTest("lifecycle: the plan is what is held", async (engine) => {
  using source = openModelSource(MODEL);
  const { plan } = await planModel(engine, source, TRAINING);
  assert.equal((await engine.stats()).totalBytes, 0);
  assert.equal(plan.parameters, 123712);
  assert.equal(plan.tensors.length, source.tensors.size);
  const created = await load(engine, TRAINING);
  assert.deepEqual(created, plan);
  assert.equal((await engine.stats()).totalBytes, plan.memory.totalBytes);
  const sum = plan.memory.rows.reduce((total, { bytes }) => total + bytes, 0);
  assert.equal(sum, plan.memory.totalBytes);
});

engineTest(
  "lifecycle: a plan over the budget is refused before anything is taken",
  async (engine) => {
    await assert.rejects(() => load(engine, { ...inferenceUse(64), memoryBudget: 1000 }), {
      name: "SpielError",
      kind: "device",
      message: /budget of 1000 B/,
    });
    assert.equal((await engine.stats()).totalBytes, 0);
  },
);

engineTest("lifecycle: a generation's cache counts against the budget", async (engine) => {
  using source = openModelSource(MODEL);
  const use = { ...inferenceUse(64) };
  const { plan } = await planModel(engine, source, use);
  const memoryBudget = plan.memory.totalBytes + 100_000;
  await load(engine, { ...use, memoryBudget });
  await assert.rejects(() => engine.beginGeneration(1_000_000), {
    kind: "device",
    message: new RegExp(`over its budget of ${formatBytes(memoryBudget)}$`),
  });
  assert.equal((await engine.stats()).totalBytes, plan.memory.totalBytes);
  await engine.beginGeneration(8);
  assert.ok((await engine.stats()).totalBytes > plan.memory.totalBytes);
  await engine.endGeneration();
  assert.equal((await engine.stats()).totalBytes, plan.memory.totalBytes);
});

engineTest("lifecycle: a generation is not mixed with another", async (engine) => {
  await load(engine, inferenceUse(64));
  const feed = (...tokens: number[]) => engine.feed(Uint32Array.from(tokens));
  await engine.beginGeneration(3);
  await feed(1, 2);
  const alone = await feed(3);
  await engine.endGeneration();
  await engine.beginGeneration(3);
  await feed(1, 2);
  await assert.rejects(() => engine.beginGeneration(3), { message: /must end before another/ });
  assert.deepEqual(await feed(3), alone);
  await engine.endGeneration();
});

engineTest("lifecycle: without training no scratch of training is held", async (engine) => {
  using source = openModelSource(MODEL);
  const bytes = async (use: ModelUse) => {
    const { rows } = (await planModel(engine, source, use)).plan.memory;
    return rows.find(({ purpose }) => purpose === "workspace")!.bytes;
  };
  const use = inferenceUse(64);
  const deltas = { ...use, deltas: TRAINING.deltas };
  assert.equal(await bytes(deltas), await bytes(use));
});

engineTest("lifecycle: sizes beyond all memory are refused by name", async (engine) => {
  using source = openModelSource(MODEL);
  const config = { ...source.config, num_hidden_layers: 1 };
  const wide = { config: { ...config, intermediate_size: 1 << 24 }, tensors: source.tensors };
  const long = inferenceUse(0xFFFFFFFF);
  await assert.rejects(() => planModel(engine, wide, { ...long, memoryBudget: 1e9 }), {
    kind: "device",
    message: /need one buffer of \d+\.\d \wiB, over|over the --memory-budget/,
  });
  await assert.rejects(() => engine.runProduct(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 1), {
    kind: "device",
    message: /need one buffer of over 2\^64 bytes/,
  });
  await assert.rejects(() => engine.runProduct(0, 4, 4, 1), { message: /nothing in it/ });
});

engineTest(
  "lifecycle: requests out of order are refused, and the engine goes on",
  async (engine) => {
    await assert.rejects(() => engine.forward(batch()), { kind: "internal" });
    using source = openModelSource(MODEL);
    const { options } = await planModel(engine, source, TRAINING);
    await engine.createModel(source.config, options);
    await assert.rejects(() => engine.forward(batch()), {
      kind: "internal",
      message: /has 0 of its 65536 bytes/,
    });
    await load(engine, TRAINING);
    await assert.rejects(() => engine.forward(batch()), { message: /no deltas attached/ });
    await assert.rejects(() => engine.writeTensor("nothing", 0, new Uint8Array(4)), {
      kind: "data",
      message: /"nothing"/,
    });
    await attachAll(engine, 1);
    assert.ok((await engine.forward(batch())).loss.sum! > 0);
  },
);

engineTest("lifecycle: bad micro-batches are refused", async (engine) => {
  await load(engine, inferenceUse(64));
  const good = batch();
  const bad = [
    { ...good, tokens: good.tokens.with(3, 256) },
    { ...good, targets: good.targets.with(3, 256) },
    { ...good, cuSeqlens: Uint32Array.of(0, 12, 19) },
    { ...good, cuSeqlens: Uint32Array.of(0, 13, 12, 20) },
    { ...good, cuSeqlens: Uint32Array.of(1, 20) },
    {
      tokens: new Uint32Array(65),
      targets: new Uint32Array(65),
      cuSeqlens: Uint32Array.of(0, 65),
    },
  ];
  for (const [index, one] of bad.entries()) {
    await assert.rejects(() => engine.forward(one), { name: "SpielError" }, `case ${index}`);
  }
  assert.ok((await engine.forward(good)).loss.sum! > 0);
});

engineTest("lifecycle: a configuration that makes no sense is the files' fault", async (engine) => {
  using source = openModelSource(MODEL);
  const bad: Partial<ModelConfig>[] = [
    { num_key_value_heads: 3 },
    { head_dim: 15 },
    { vocab_size: 0 },
    { num_hidden_layers: 0 },
    { num_hidden_layers: 4097 },
  ];
  for (const change of bad) {
    const altered = { config: { ...source.config, ...change }, tensors: source.tensors };
    await assert.rejects(
      () => planModel(engine, altered, inferenceUse(64)),
      { name: "SpielError", kind: "data" },
      JSON.stringify(change),
    );
  }
});

engineTest(
  "lifecycle: random positions are sorted, follow the seed and differ between modules",
  async (engine) => {
    const positions = async (seed: number, module = Q_PROJ) => {
      await attachAll(engine, seed);
      return [...await engine.readState(module, "indices")];
    };
    const first = await positions(1);
    assert.ok(first.every((index, slot) => slot === 0 || index > first[slot - 1]!));
    assert.deepEqual(await positions(1), first);
    assert.notDeepEqual(await positions(2), first);
    assert.notDeepEqual(await positions(1, "model.layers.1.self_attn.q_proj"), first);
  },
);

engineTest("lifecycle: a model replaces the one before it", async (engine) => {
  const { loss } = await loadAndForward(engine);
  await attachAll(engine, 1);
  const again = await loadAndForward(engine);
  assert.deepEqual(again.loss, loss);
});

async function loadAndForward(engine: Engine) {
  await load(engine, inferenceUse(64));
  return await engine.forward(batch());
}

engineTest("lifecycle: merged weights read back with their deltas", async (engine) => {
  await attachAll(engine, 1);
  const indices = await engine.readState(Q_PROJ, "indices");
  await engine.writeState(Q_PROJ, "values", new Float32Array(indices.length).fill(0.5));
  const read = async (merged: boolean) =>
    new Float32Array(
      (await engine.readTensor(`${Q_PROJ}.weight`, 0, 64, "f32", merged)).buffer,
    );
  const [base, merged] = [await read(false), await read(true)];
  using source = openModelSource(MODEL);
  const stored = new Float32Array(source.read(`${Q_PROJ}.weight`, 0, 64 * 64 * 4).buffer);
  assert.deepEqual(base, stored);
  const expected = stored.slice();
  for (const index of indices) expected[index]! += 0.5;
  assert.deepEqual(merged, expected);
});

for (const place of HOSTED_DEVICES) {
  Deno.test(`lifecycle: any number of threads gives the same bits (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    const gradients: unknown[] = [];
    for (const threads of [1, 2, 5]) {
      await using engine = await place.open({ threads });
      assert.equal(engine.info.threads, threads);
      await attachAll(engine, 1);
      await engine.forwardBackward(batch(), 0.1);
      const grads = await engine.readState(Q_PROJ, "grads");
      await engine.optimizerStep({
        learningRate: 0.01,
        weightDecay: 0,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        maxGradNorm: 1,
        step: 1,
      });
      gradients.push([grads, await engine.readUpdate()]);
    }
    assert.deepEqual(gradients[1], gradients[0]);
    assert.deepEqual(gradients[2], gradients[0]);
  });
}
