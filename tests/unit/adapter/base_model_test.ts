/** Whether an adapter fits a model: recorded shapes, positions and modules. */

import assert from "node:assert/strict";
import {
  baseShapes,
  countFittingDeltas,
  otherBaseWarning,
} from "../../../src/adapter/base_model.ts";
import type { Adapter } from "../../../src/adapter/adapter.ts";
import { sftConfig } from "../../../src/adapter/layouts/sft_config.ts";
import type { ModelPlan } from "../../../src/engine/protocol.gen.ts";

const Q = "model.layers.0.self_attn.q_proj";
const UP = "model.layers.0.mlp.up_proj";

/** A plan whose linear layers have these shapes. */
function planOf(shapes: Record<string, [number, number]>): ModelPlan {
  const linear = Object.entries(shapes).map(([deltaModule, shape]) => ({
    name: `${deltaModule}.weight`,
    shape: [...shape],
    format: "f32" as const,
    deltaModule,
  }));
  const norm = { name: "norm", shape: [8], format: "f32" as const, deltaModule: null };
  return {
    tensors: [...linear, norm],
    parameters: 1,
    precision: "f32",
    memory: { rows: [], totalBytes: 0 },
  };
}

/** An adapter with one module's deltas, whose base has these shapes. */
function adapterOf(base: Record<string, [number, number]> | undefined, last = 5): Adapter {
  const spiel = {
    format_version: 1,
    program_version: "0.1.0",
    base_model_hash: "b".repeat(64),
    method: "spiel-ag",
    step: 4,
    ...(base && { base_shapes: base }),
  };
  return {
    layout: "SFT",
    facts: {},
    changes: new Map(),
    config: sftConfig({ spiel }, { [Q]: 2 }),
    modules: new Map([
      [Q, { indices: Uint32Array.of(1, last), values: Float32Array.of(1, 2), dtype: "F32" }],
    ]),
  };
}

const BASE: Record<string, [number, number]> = { [Q]: [8, 8], [UP]: [16, 8] };

const CASES: [
  title: string,
  base: Record<string, [number, number]> | undefined,
  model: Record<string, [number, number]>,
  words: string | null,
][] = [
  ["the same shapes", BASE, BASE, null],
  ["no recorded shapes", undefined, { [Q]: [4, 4] }, null],
  [
    "a module of another shape",
    BASE,
    { [Q]: [8, 16], [UP]: [16, 8] },
    `its base model has "${Q}" of shape [8, 8], this one "${Q}" of shape [8, 16]`,
  ],
  [
    "a module without deltas of another shape",
    BASE,
    { [Q]: [8, 8], [UP]: [32, 8] },
    `its base model has "${UP}" of shape [16, 8], this one "${UP}" of shape [32, 8]`,
  ],
  [
    "a module that the model lacks",
    BASE,
    { [Q]: [8, 8] },
    `its base model has "${UP}" of shape [16, 8], this one no "${UP}"`,
  ],
  [
    "a module that the base lacks",
    { [Q]: [8, 8] },
    BASE,
    `its base model has no "${UP}", this one "${UP}" of shape [16, 8]`,
  ],
];

for (const [title, base, model, words] of CASES) {
  Deno.test(`an adapter on a model: ${title}`, () => {
    const count = () => countFittingDeltas(adapterOf(base), "a", planOf(model), "m");
    if (words === null) return assert.deepEqual(count(), [{ module: Q, count: 2 }]);
    const message = `Adapter "a" is of another model than "m": ${words}`;
    assert.throws(count, { kind: "data", message });
  });
}

Deno.test("an adapter without recorded shapes is refused where a position lies outside", () => {
  assert.throws(() => countFittingDeltas(adapterOf(undefined, 64), "a", planOf(BASE), "m"), {
    kind: "data",
    message: `Adapter "a" has a delta at position 64 of "${Q}", ` +
      "but the model's has shape [8, 8], 64 weights",
  });
});

Deno.test("the shapes that an adapter records are those of the linear layers", () => {
  assert.deepEqual(baseShapes(planOf(BASE).tensors), BASE);
});

Deno.test("an adapter on another base of the same shape is a warning", async () => {
  const warningOn = (hash: string) =>
    otherBaseWarning(adapterOf(BASE), "a", {
      path: "m",
      tensors: planOf(BASE).tensors,
      hash: () => hash,
    });
  assert.equal(await warningOn("b".repeat(64)), null);
  assert.match(
    await warningOn("c".repeat(64)) ?? "",
    /^Adapter "a" was trained on another base model than "m"/,
  );
});

Deno.test("an adapter that does not record its base is a warning where layers have no deltas", async () => {
  const recorded = adapterOf(undefined);
  const { spiel: _, ...config } = recorded.config;
  const warningOn = (shapes: Record<string, [number, number]>) =>
    otherBaseWarning({ ...recorded, config }, "a", {
      path: "m",
      tensors: planOf(shapes).tensors,
      hash: () => assert.fail("no identity is needed"),
    });
  assert.equal(await warningOn(BASE), null);
  assert.equal(
    await warningOn({ ...BASE, "model.layers.1.self_attn.q_proj": [8, 8] }),
    'Adapter "a" does not record its base model and changes 1 of the 2 layers of "m"; it may be of another model',
  );
});
