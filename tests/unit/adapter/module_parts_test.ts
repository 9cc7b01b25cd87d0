/** Adapters that name modules as a model's files do: stacked matrices, and a model that also sees. */

import assert from "node:assert/strict";
import type { Adapter } from "../../../src/adapter/adapter.ts";
import { baseModelOf } from "../../../src/adapter/base_model.ts";
import { ScaledMatrix } from "../../../src/adapter/dense/scaled.ts";
import { inPartsOf } from "../../../src/adapter/module_parts.ts";
import { openModelSource } from "../../../src/model/source.ts";

const GOLDEN = decodeURIComponent(new URL("../../golden", import.meta.url).pathname);
const QKV = "model.layers.1.self_attn.qkv_proj";
const [Q, K, V] = ["q", "k", "v"].map((name) => `model.layers.1.self_attn.${name}_proj`) as [
  string,
  string,
  string,
];
/** Of tiny_phi3: rows of q, and of k and v each, and their length. */
const [QUERIES, KEYS, INPUTS] = [32, 16, 32];

function adapterOf(parts: Partial<Pick<Adapter, "modules" | "changes">>): Adapter {
  const config = { base_model_name_or_path: null, target_modules: null };
  return { layout: "", config, facts: {}, modules: new Map(), changes: new Map(), ...parts };
}

const deltasAt = (...indices: number[]) => ({
  indices: Uint32Array.from(indices),
  values: Float32Array.from(indices, (_, slot) => slot + 1),
  dtype: "F32" as const,
});

Deno.test("module parts: deltas of a stacked matrix are those of the matrices in it", () => {
  using source = openModelSource(`${GOLDEN}/tiny_phi3`);
  const base = baseModelOf(source);
  const [ofK, ofV] = [QUERIES * INPUTS, (QUERIES + KEYS) * INPUTS];
  const end = (QUERIES + 2 * KEYS) * INPUTS;
  const split = (...indices: number[]) =>
    inPartsOf(base, adapterOf({ modules: new Map([[QKV, deltasAt(...indices)]]) }), "It").modules;
  const found = split(0, ofK - 1, ofK, ofV + 5, end - 1);
  assert.deepEqual([...found.keys()], [Q, K, V]);
  assert.deepEqual([...found.get(Q)!.indices], [0, ofK - 1]);
  assert.deepEqual([...found.get(K)!.indices], [0]);
  assert.deepEqual([...found.get(K)!.values], [3]);
  assert.deepEqual([...found.get(V)!.indices], [5, KEYS * INPUTS - 1]);
  assert.throws(() => split(end), {
    message: `It has a delta at position ${end} of "${QKV}", but the model's has ${end} weights`,
  });
});

Deno.test("module parts: two names of one module are refused", () => {
  using source = openModelSource(`${GOLDEN}/tiny_phi3`);
  const modules = new Map([[QKV, deltasAt(0)], [Q, deltasAt(1)]]);
  assert.throws(() => inPartsOf(baseModelOf(source), adapterOf({ modules }), "It"), {
    message: `It has "${QKV}" and "${Q}", which are both "${Q}"`,
  });
});

Deno.test("module parts: rows of a change are those of the matrix that they belong to", () => {
  using source = openModelSource(`${GOLDEN}/tiny_phi3`);
  const split = (rows: number) => {
    const change = new ScaledMatrix(
      Float32Array.from({ length: rows }, (_, row) => row),
      "outputs",
    );
    const changes = new Map([[QKV, change]]);
    return inPartsOf(baseModelOf(source), adapterOf({ changes }), "It").changes;
  };
  const found = split(QUERIES + 2 * KEYS);
  assert.deepEqual([...found.values()].map(({ shape }) => shape[0]), [QUERIES, KEYS, KEYS]);
  const rows = Float32Array.of(1, 1, 1);
  found.get(V)!.apply(rows, 1, 2);
  assert.deepEqual([...rows], [0, 1, 2].map((row) => QUERIES + KEYS + 2 + row));
  assert.throws(() => split(8), {
    message: `It changes 8 rows of "${QKV}", but the model's has ${QUERIES + 2 * KEYS}`,
  });
});

Deno.test("module parts: what a layout asks of a stacked matrix is that of its parts", () => {
  using source = openModelSource(`${GOLDEN}/tiny_phi3`);
  const base = baseModelOf(source);
  assert.deepEqual(base.shapeOf(QKV), [QUERIES + 2 * KEYS, INPUTS]);
  const parts = [Q, K, V].flatMap((module) => [...base.weightsOf(module)!]);
  assert.deepEqual([...base.weightsOf(QKV)!], parts);
  assert.equal(base.shapeOf("model.layers.1.self_attn.other"), undefined);
  assert.equal(base.weightsOf("model.layers.1.self_attn.other"), undefined);
});

Deno.test("module parts: names of a model that also sees are those of its text's part", () => {
  using text = openModelSource(`${GOLDEN}/tiny_gemma3`);
  const { path, config, tensors } = text;
  const read = text.read.bind(text);
  const base = baseModelOf({ path, modelType: "gemma3", config, tensors, read });
  for (const prefix of ["language_model.model", "model.language_model"]) {
    const stored = `${prefix}.layers.0.self_attn.q_proj`;
    const modules = new Map([[stored, deltasAt(3)]]);
    const found = inPartsOf(base, adapterOf({ modules }), "It").modules;
    assert.deepEqual([...found.keys()], ["model.layers.0.self_attn.q_proj"]);
  }
});
