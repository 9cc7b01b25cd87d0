/** Sharing out a budget of deltas. */

import assert from "node:assert/strict";
import { allotDeltas } from "../../../src/spiel/budget.ts";

const tensor = (module: string, shape: number[]) => ({
  name: `${module}.weight`,
  shape,
  format: "f32" as const,
  deltaModule: module,
});

const MODEL = {
  parameters: 1000,
  tensors: [
    {
      name: "model.embed_tokens.weight",
      shape: [30, 10],
      format: "f32" as const,
      deltaModule: null,
    },
    tensor("model.layers.0.self_attn.q_proj", [10, 10]),
    tensor("model.layers.0.mlp.up_proj", [30, 10]),
  ],
};

Deno.test("budget: the total counts all weights and is shared by size, rounded down", () => {
  assert.deepEqual(allotDeltas(MODEL, { density: 0.0399 }, ["q_proj", "up_proj"]), [
    { module: "model.layers.0.self_attn.q_proj", count: 9 },
    { module: "model.layers.0.mlp.up_proj", count: 29 },
  ]);
});

Deno.test("budget: numDeltas is the total, rankEquivalent counts rows and columns", () => {
  assert.deepEqual(allotDeltas(MODEL, { numDeltas: 7 }, ["mlp.up_proj"]), [
    { module: "model.layers.0.mlp.up_proj", count: 7 },
  ]);
  assert.deepEqual(allotDeltas(MODEL, { rankEquivalent: 2 }, ["q_proj", "up_proj"]), [
    { module: "model.layers.0.self_attn.q_proj", count: 30 },
    { module: "model.layers.0.mlp.up_proj", count: 90 },
  ]);
});

Deno.test("budget: a target matches whole names only", () => {
  assert.throws(() => allotDeltas(MODEL, { numDeltas: 7 }, ["q_proj", "proj", "lm_head"]), {
    kind: "usage",
    message:
      'target_modules "proj", "lm_head" match no linear layer; this model has q_proj, up_proj',
  });
});

Deno.test("budget: too many and too few are refused", () => {
  assert.throws(() => allotDeltas(MODEL, { numDeltas: 401 }, ["q_proj", "up_proj"]), {
    kind: "usage",
    message: "num_deltas 401 asks for 401 deltas, but the targeted modules have 400 weights",
  });
  assert.throws(() => allotDeltas(MODEL, { density: 1 }, ["up_proj"]), {
    kind: "usage",
    message: "density 1 asks for 1000 deltas, but the targeted modules have 300 weights; " +
      "at most density 0.300",
  });
  assert.throws(() => allotDeltas(MODEL, { density: 0.0001 }, ["q_proj"]), {
    kind: "usage",
    message: "density 0.0001 leaves no delta for any targeted module; " +
      "the largest gets its first of 1 in all",
  });
  const few = { density: 0.0015 };
  assert.throws(() => allotDeltas(MODEL, few, ["q_proj", "up_proj"]), {
    kind: "usage",
    message: "density 0.0015 leaves no delta for any targeted module; " +
      "the largest gets its first of 2 in all",
  });
  assert.equal(allotDeltas(MODEL, { numDeltas: 2 }, ["q_proj", "up_proj"]).length, 1);
});

Deno.test("budget: products beyond 2^53 stay exact", () => {
  const size = [100_000, 90_000];
  const model = {
    parameters: 4e10,
    tensors: [tensor("a.q_proj", size), tensor("a.k_proj", size), tensor("a.v_proj", size)],
  };
  const counts = allotDeltas(model, { numDeltas: 3_000_000_001 }, ["q_proj", "k_proj", "v_proj"]);
  assert.deepEqual(counts.map(({ count }) => count), [1_000_000_000, 1_000_000_000, 1_000_000_000]);
});
