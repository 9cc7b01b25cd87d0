/** Streaming weights into the engine: chunks, formats, deltas that do not fit. */

import assert from "node:assert/strict";
import { deviceFailure } from "../../../src/engine/failure.ts";
import type { ErrorCode, Request } from "../../../src/engine/protocol.gen.ts";
import {
  countDeltas,
  inferenceUse,
  loadModel,
  memoryBudgetOf,
  planModel,
} from "../../../src/model/load.ts";
import type { ModelSource } from "../../../src/model/source.ts";
import { openFakeEngine } from "../../support/fake_engine.ts";
import { toySource } from "../../support/toy_source.ts";

Deno.test("load: tensors are written whole, in chunks of at most 4 MiB", async () => {
  const { engine, fake } = await openFakeEngine();
  const writes: Extract<Request, { op: "tensorWrite" }>[] = [];
  fake.intercept = (request) => {
    if (request.op === "tensorWrite") writes.push(request);
    return undefined;
  };
  await loadModel(engine, toySource("f32", 1 << 20), inferenceUse(8));
  const large = writes.filter(({ name }) => name.includes("q_proj")).map(({ offset }) => offset);
  assert.deepEqual(large, Array.from({ length: 8 }, (_, chunk) => chunk << 22));
  assert.equal(writes.length, 10);
  await engine.close();
});

Deno.test("load: a part is read while the one before it is written, and not into its memory", async () => {
  const { engine, fake } = await openFakeEngine();
  const source = toySource("f32", 1 << 20);
  const buffers: (Uint8Array<ArrayBuffer> | undefined)[] = [];
  const written: number[] = [];
  let writes = 0;
  fake.intercept = (request) => {
    if (request.op === "tensorWrite") writes++;
    return undefined;
  };
  const read: ModelSource["read"] = (_name, _offset, length, into) => {
    buffers.push(into);
    written.push(writes);
    return into!.subarray(0, length);
  };
  await loadModel(engine, { ...source, read }, inferenceUse(8));
  assert.equal(buffers.length, 10);
  assert.equal(new Set(buffers).size, 2);
  assert.ok(buffers.every((buffer, part) => buffer !== buffers[part - 1]));
  // When a part is read, all before the last one have been written.
  assert.ok(written.every((count, part) => count >= part - 1), `${written}`);
  assert.equal(writes, 10);
  await engine.close();
});

Deno.test("load: planning allocates nothing, and a plan over its budget stops there", async () => {
  const { engine, fake } = await openFakeEngine();
  fake.intercept = (request) => {
    if (request.op !== "modelCreate") return undefined;
    assert.equal(request.dryRun, true);
    const rows = [{ purpose: "weights", bytes: 1536 }, { purpose: "activations", bytes: 2048 }];
    const memory = { rows, totalBytes: 3584 };
    return { kind: "modelPlan", memory, tensors: [], parameters: 1, precision: "f32" };
  };
  const remedies = ["a smaller one", "a lower --density", "patience"];
  const use = { ...inferenceUse(8), memoryBudget: 3000, remedies };
  await assert.rejects(() => planModel(engine, toySource("f32"), use), {
    kind: "device",
    message:
      "This takes 3.5 KiB of memory, over the --memory-budget of 2.9 KiB; try a smaller one, " +
      "a lower --density or patience. It is made of\n" +
      "  - weights: 1.5 KiB\n  - activations: 2.0 KiB",
  });
  const { options } = await planModel(engine, toySource("f32"), { ...use, memoryBudget: 3584 });
  assert.equal(options.memoryBudget, 3584);
  await engine.close();
});

Deno.test("load: without a budget, what is free is the limit; none lifts it", async () => {
  const { engine, fake } = await openFakeEngine();
  assert.equal(engine.info.host, "wasm");
  const totalBytes = 2 ** 32 + 1;
  fake.intercept = (request) => {
    if (request.op !== "modelCreate") return undefined;
    const memory = { rows: [{ purpose: "weights", bytes: totalBytes }], totalBytes };
    return { kind: "modelPlan", memory, tensors: [], parameters: 1, precision: "f32" };
  };
  const plan = (bytes: number | undefined) =>
    planModel(engine, toySource("f32"), {
      ...inferenceUse(8),
      memoryBudget: memoryBudgetOf(bytes),
    });
  await assert.rejects(() => plan(undefined), {
    kind: "device",
    message:
      /over the [\d.]+ GiB that are free; try a smaller model; --memory-budget none starts it anyway/,
  });
  assert.equal((await plan(0)).options.memoryBudget, null);
  assert.equal((await plan(2 ** 33)).options.memoryBudget, 2 ** 33);
  await engine.close();
});

Deno.test("load: what exceeds the addresses of WASM is refused with what helps", async () => {
  const { engine, fake } = await openFakeEngine();
  const plan = () =>
    planModel(engine, toySource("f32"), { ...inferenceUse(8), remedies: ["patience", "luck"] });
  const refuse = (code: ErrorCode) => {
    fake.intercept = ({ op }) =>
      op === "modelCreate" ? { kind: "error", code, message: "Too much" } : undefined;
  };
  refuse("outOfMemory");
  await assert.rejects(plan, (error: Error) => {
    assert.match(error.message, /^Too much; try patience, luck or the native engine \(run ".*"\)$/);
    // So that another device is tried where the choice is free.
    assert.equal(deviceFailure(error), "Too much");
    return true;
  });
  refuse("invalidRequest");
  await assert.rejects(plan, { kind: "data", message: "Too much" });
  await engine.close();
});

Deno.test("load: a format that the engine does not read is refused by tensor", async () => {
  const { engine } = await openFakeEngine();
  await assert.rejects(() => loadModel(engine, toySource("q8_0"), inferenceUse(8)), {
    kind: "data",
    message: 'Tensor "model.embed_tokens.weight" is q8_0; this engine reads f32',
  });
  await engine.close();
});

Deno.test("load: a signal stops between tensors", async () => {
  const { engine } = await openFakeEngine();
  const options = { signal: AbortSignal.abort() };
  await assert.rejects(() => loadModel(engine, toySource("f32"), inferenceUse(8), options), {
    kind: "interrupted",
  });
  await engine.close();
});

Deno.test("load: deltas must fit the model's modules", async () => {
  const { engine } = await openFakeEngine();
  const { plan } = await planModel(engine, toySource("f32"), inferenceUse(8));
  const deltas = (module: string, ...indices: number[]) =>
    new Map([[module, {
      indices: Uint32Array.from(indices),
      values: new Float32Array(indices.length),
    }]]);
  const q = "model.layers.0.self_attn.q_proj";
  assert.deepEqual(countDeltas(plan, deltas(q, 3, 63), "A"), [{ module: q, count: 2 }]);
  assert.throws(() => countDeltas(plan, deltas(q, 3, 64), "A"), {
    kind: "data",
    message: `A has a delta at position 64 of "${q}", but the model's has shape [8, 8], 64 weights`,
  });
  assert.throws(() => countDeltas(plan, deltas("lm_head", 3), "A"), {
    kind: "data",
    message: 'A has deltas for "lm_head", which the model lacks',
  });
  await engine.close();
});
