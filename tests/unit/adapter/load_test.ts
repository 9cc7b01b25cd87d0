/** Adapter folders of every layout: what is read, from which file, and what is refused. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadAdapter, loadSparseAdapter } from "../../../src/adapter/load.ts";
import { describeAdapter } from "../../../src/adapter/describe.ts";
import type { Shape } from "../../../src/adapter/adapter.ts";
import { SafetensorsFile } from "../../../src/io/safetensors.ts";
import { encodeSafetensors, type TensorData } from "../../support/encode_safetensors.ts";
import { encodeTorch } from "../../support/encode_torch.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const golden = (name: string) =>
  fileURLToPath(new URL(`../../golden/adapters/${name}`, import.meta.url));

/** Shapes of the goldens' base model. */
const OUTPUTS: Record<string, Shape> = {
  q_proj: [64, 64],
  k_proj: [32, 64],
  v_proj: [32, 64],
  o_proj: [64, 64],
  gate_proj: [172, 64],
  up_proj: [172, 64],
  down_proj: [64, 172],
};
const shapeOf = (module: string) => OUTPUTS[module.split(".").at(-1) ?? ""];
const base = { shapeOf, weightsOf: () => undefined };

/** The tensors of a golden, in memory. */
function tensorsOf(name: string): Map<string, TensorData> {
  using file = SafetensorsFile.open(join(golden(name), "adapter_model.safetensors"));
  return new Map(
    [...file.tensors].map(([tensor, { dtype, shape }]) => [
      tensor,
      { dtype, shape, data: file.read(tensor) },
    ]),
  );
}

/** A folder with a golden's configuration, changed, and tensors. */
function writeAdapter(
  dir: string,
  name: string,
  changes: Record<string, unknown>,
  tensors: ReadonlyMap<string, TensorData>,
): void {
  const config = JSON.parse(Deno.readTextFileSync(join(golden(name), "adapter_config.json")));
  const text = JSON.stringify({ ...config, ...changes });
  Deno.writeTextFileSync(join(dir, "adapter_config.json"), text);
  Deno.writeFileSync(join(dir, "adapter_model.safetensors"), encodeSafetensors(tensors));
}

Deno.test("an adapter that torch saved is the one that safetensors hold", async (test) => {
  for (const name of ["sft_fork_f32", "sft_fork_bf16", "lora_r4", "shira"]) {
    await test.step(name, () =>
      withTempDir((dir) => {
        writeAdapter(dir, name, {}, new Map());
        Deno.removeSync(join(dir, "adapter_model.safetensors"));
        Deno.writeFileSync(join(dir, "adapter_model.bin"), encodeTorch(tensorsOf(name)));
        const [found, expected] = [loadAdapter(dir, base), loadAdapter(golden(name), base)];
        assert.deepEqual(found.modules, expected.modules);
        assert.deepEqual([...found.changes.keys()], [...expected.changes.keys()]);
        for (const [module, change] of expected.changes) {
          const [rows = 0, columns = 0] = change.shape;
          const [ours, theirs] = [0, 1].map(() => new Float32Array(rows! * columns!).fill(1));
          found.changes.get(module)?.apply(ours!, columns!, 0);
          change.apply(theirs!, columns!, 0);
          assert.deepEqual(ours, theirs);
        }
      }));
  }
});

Deno.test("safetensors go before what torch saved", () =>
  withTempDir((dir) => {
    writeAdapter(dir, "supertuning", {}, tensorsOf("supertuning"));
    Deno.writeTextFileSync(join(dir, "adapter_model.bin"), "no archive");
    assert.equal(loadAdapter(dir).modules.size, 14);
  }));

Deno.test("a change of rows is the same in whatever parts they come", () => {
  for (const name of ["lora_r4", "dora_r4", "ia3", "supra_r4"]) {
    for (const [module, change] of loadAdapter(golden(name)).changes) {
      const [rows, columns] = shapeOf(module)!;
      const whole = Float32Array.from({ length: rows * columns }, (_, at) => Math.sin(at));
      const parts = whole.slice();
      change.apply(whole, columns, 0);
      for (let row = 0; row < rows; row += 7) {
        change.apply(parts.subarray(row * columns, (row + 7) * columns), columns, row);
      }
      assert.deepEqual(parts, whole);
    }
  }
});

Deno.test("IA3 scales the bias of outputs, not of inputs", () => {
  const changes = loadAdapter(golden("ia3")).changes;
  const down = changes.get("model.layers.0.mlp.down_proj");
  const keys = changes.get("model.layers.0.self_attn.k_proj");
  assert.deepEqual([down?.changesBias, keys?.changesBias], [false, true]);
});

Deno.test("ranks and alphas of single modules, and square roots of ranks, scale LoRA", () =>
  withTempDir((dir) => {
    const [q, v] = ["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj"];
    const tensors = new Map<string, TensorData>();
    for (const [module, rank] of [[q, 1], [v, 4]] as const) {
      const ones = new Float32Array(2 * rank).fill(1);
      tensors.set(`base_model.model.${module}.lora_A.weight`, {
        dtype: "F32",
        shape: [rank, 2],
        data: ones,
      });
      tensors.set(`base_model.model.${module}.lora_B.weight`, {
        dtype: "F32",
        shape: [2, rank],
        data: ones,
      });
    }
    const patterns = { rank_pattern: { "layers.0.self_attn.q_proj": 1 }, r: 4, lora_alpha: 6 };
    const alphas = { alpha_pattern: { "^model\\.layers\\.0\\.self_attn\\.v_proj$": 10 } };
    const changed = (module: string, changes: Record<string, unknown>) => {
      writeAdapter(dir, "lora_r4", { ...patterns, ...alphas, ...changes }, tensors);
      const weights = new Float32Array(4);
      loadAdapter(dir).changes.get(module)?.apply(weights, 2, 0);
      return weights[0];
    };
    assert.equal(changed(q, {}), 6);
    assert.equal(changed(v, {}), 4 * 10 / 4);
    assert.equal(changed(v, { use_rslora: true }), 4 * 10 / 2);
    assert.throws(() => changed(q, { rank_pattern: { "(a+)+": 1 } }), {
      kind: "data",
      message: /rank_pattern has the key "\(a\+\)\+", expected the name of a module/,
    });
  }));

Deno.test("what can be done with sparse deltas only is refused of other adapters", () => {
  assert.throws(() => loadSparseAdapter(golden("lora_r4"), "can be trained on"), {
    kind: "data",
    message:
      /lora_r4" \(LORA\) changes whole matrices, and only sparse deltas can be trained on; merge/,
  });
});

Deno.test("every layout is described without its base model", () => {
  const facts = (name: string) => describeAdapter(golden(name));
  assert.equal(facts("shira").deltas, 4624);
  const lora = facts("lora_r4_rslora");
  assert.deepEqual([lora.peft_type, lora.deltas, lora.changed_matrices, lora.use_rslora], [
    "LORA",
    0,
    4,
    true,
  ]);
  const chosen = facts("supertuning_noindices");
  assert.deepEqual([chosen.peft_type, chosen.save_precomputed_indices], ["SUPERTUNING", false]);
  assert.equal(chosen.deltas, 602);
});

const Q = "base_model.model.model.layers.0.self_attn.q_proj";
const floats = (...shape: number[]): TensorData => ({
  dtype: "F32",
  shape,
  data: new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(1),
});
const ints = (...values: number[]): TensorData => ({
  dtype: "I32",
  shape: [values.length],
  data: Int32Array.from(values),
});

Deno.test("SHIRA is described whatever the rows of its matrix, which it does not record", () =>
  withTempDir((dir) => {
    const describe = (...places: number[]) => {
      const indices = { ...ints(...places), shape: [2, 2] };
      const fields = { shira_weight: floats(2), shira_indices: indices };
      const tensors = Object.entries(fields).map(([name, one]) => [`${Q}.${name}`, one] as const);
      writeAdapter(dir, "shira", {}, new Map(tensors));
      return describeAdapter(dir);
    };
    assert.equal(describe(3, 128_255, 0, 4095).deltas, 2);
    assert.throws(() => describe(3, 128_255, 0, 70_000), {
      kind: "data",
      message: /row 128255 and in column 70000, expected a matrix of at most 2\^32 weights/,
    });
  }));

/** What is wrong, the layout, the configuration's changes, the tensors by field, and the message. */
const BAD: [string, string, Record<string, unknown>, Record<string, TensorData>, RegExp][] = [
  ["prefix tuning", "lora_r4", { peft_type: "PREFIX_TUNING" }, {}, /learnt keys and values before/],
  ["an unknown kind", "lora_r4", { peft_type: "OFT" }, {}, /"OFT"; expected one of SFT, SUPERTUN/],
  [
    "a kind of another type",
    "lora_r4",
    { peft_type: ["LORA"] },
    {},
    /peft_type is \["LORA"\]; exp/,
  ],
  ["biases", "lora_r4", { bias: "all" }, {}, /bias is "all", expected "none"/],
  [
    "a start that changes the base",
    "lora_r4",
    { init_lora_weights: "pissa" },
    {},
    /is "pissa", exp/,
  ],
  ["layers that are repeated", "lora_r4", { layer_replication: [[0, 2]] }, {}, /layer_replication/],
  ["whole modules", "lora_r4", { modules_to_save: ["lm_head"] }, {}, /whole modules \(lm_head\)/],
  ["a rank of another type", "lora_r4", { r: "four" }, {}, /r: Invalid input/],
  [
    "A of another rank",
    "lora_r4",
    {},
    { "lora_A.weight": floats(3, 64), "lora_B.weight": floats(64, 4) },
    /lora_A\.weight" has shape \[3, 64\], expected \[4, columns\]/,
  ],
  [
    "A without B",
    "lora_r4",
    {},
    { "lora_A.weight": floats(4, 64) },
    /no tensor ".*lora_B\.weight"/,
  ],
  [
    "an embedding",
    "lora_r4",
    {},
    { lora_embedding_A: floats(4, 64) },
    /lora_embedding_A", expected/,
  ],
  [
    "lengths without DoRA",
    "lora_r4",
    {},
    {
      "lora_A.weight": floats(4, 64),
      "lora_B.weight": floats(64, 4),
      "lora_magnitude_vector": floats(64),
    },
    /belongs to DoRA, but use_dora is false/,
  ],
  [
    "DoRA without lengths",
    "dora_r4",
    {},
    { "lora_A.weight": floats(4, 64), "lora_B.weight": floats(64, 4) },
    /no tensor ".*lora_magnitude_vector"/,
  ],
  [
    "lengths of other rows",
    "dora_r4",
    {},
    {
      "lora_A.weight": floats(4, 64),
      "lora_B.weight": floats(64, 4),
      "lora_magnitude_vector": floats(63),
    },
    /has shape \[63\], expected \[64\]/,
  ],
  [
    "factors in two dimensions",
    "ia3",
    {},
    { ia3_l: floats(2, 3) },
    /\[2, 3\], expected \[out, 1\]/,
  ],
  ["a matrix the other way around", "ia3", { fan_in_fan_out: true }, {}, /fan_in_fan_out is true/],
  [
    "rows beyond the matrix",
    "shira",
    {},
    {
      shira_weight: floats(1),
      shira_indices: { dtype: "I32", shape: [2, 1], data: Int32Array.of(64, 0) },
    },
    /a delta at row 64, column 0, but the model's matrix has shape \[64, 64\]/,
  ],
  [
    "places of another number",
    "shira",
    {},
    { shira_weight: floats(3), shira_indices: ints(1, 2) },
    /shira_weight of shape \[3\] and shira_indices of shape \[2\], expected \[k\] and \[2, k\]/,
  ],
  [
    "the same place twice",
    "shira",
    {},
    {
      shira_weight: floats(2),
      shira_indices: { dtype: "I32", shape: [2, 2], data: Int32Array.of(1, 1, 2, 2) },
    },
    /index 66 occurs twice/,
  ],
  [
    "a place between two",
    "shira",
    {},
    {
      shira_weight: floats(1),
      shira_indices: { dtype: "F32", shape: [2, 1], data: Float32Array.of(0.5, 0) },
    },
    /0\.5 in slot 0, expected a whole number/,
  ],
  [
    "positions that are not saved",
    "supertuning_from_sft",
    { save_precomputed_indices: false },
    { supertuning_values: floats(2) },
    /has values without indices, which need the weights of its base model/,
  ],
  [
    "a low-rank part without its rank",
    "supertuning_from_sft",
    {},
    {
      supertuning_values: floats(1),
      supertuning_indices: ints(1),
      "supertuning_lora_A.weight": floats(4, 64),
    },
    /has a low-rank part, but the configuration has no r/,
  ],
];

for (const [title, name, changes, fields, message] of BAD) {
  Deno.test(`refused in an adapter: ${title}`, () =>
    withTempDir((dir) => {
      const tensors = Object.entries(fields).map(([field, data]) =>
        [`${Q}.${field}`, data] as const
      );
      writeAdapter(dir, name, changes, new Map(tensors));
      assert.throws(() => loadAdapter(dir, base), { kind: "data", message });
    }));
}

Deno.test("rows and columns need a base model's shape", () => {
  assert.throws(() => loadAdapter(golden("shira")), {
    kind: "data",
    message: /the width of its matrix is not recorded; expected a base model that has it/,
  });
});

/** Folders with values alone, for the least or greatest of these weights. */
const PLACED: [title: string, selectTop: boolean, weights: number[], indices: number[] | null][] = [
  ["the least", false, [5, -1, 3, -2, 0.5, 4], [1, 4]],
  ["the greatest", true, [5, -1, 3, -2, 0.5, -4], [0, 5]],
  ["the least, of which two are equal", false, [5, -1, 3, 1, 2, 4], null],
  ["the least, the last of which has an equal", false, [0.5, -1, 3, 1, 2, 4], null],
  ["others that are equal", false, [0.5, -1, 3, 3, 3, 3], [0, 1]],
];

for (const [title, select_top, weights, indices] of PLACED) {
  Deno.test(`values without indices belong to weights by magnitude: ${title}`, () =>
    withTempDir((dir) => {
      const data = Float32Array.of(10, 20);
      const tensors = new Map([
        [`${Q}.supertuning_values`, { dtype: "F32", shape: [2], data } as const],
      ]);
      const config = { save_precomputed_indices: false, select_top };
      writeAdapter(dir, "supertuning", config, tensors);
      const known = { shapeOf, weightsOf: () => Float32Array.from(weights) };
      if (indices === null) {
        const message = /weights of equal magnitude in its base model, of which torch chose some/;
        assert.throws(() => loadAdapter(dir, known), { kind: "data", message });
        return;
      }
      const [deltas] = loadAdapter(dir, known).modules.values();
      assert.deepEqual([...deltas!.indices], indices);
      const first = select_top ? 5 : 0.5;
      const expected = indices.map((index) => Math.abs(weights[index]!) === first ? 10 : 20);
      assert.deepEqual([...deltas!.values], expected);
    }));
}
