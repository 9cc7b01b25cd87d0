/** Adapters from adapters: conversions that keep every delta, sums and their overlaps, and refusals. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Adapter } from "../../../src/adapter/adapter.ts";
import { padDeltas, sumDeltas } from "../../../src/adapter/arithmetic.ts";
import { describeAdapter } from "../../../src/adapter/describe.ts";
import { combineAdapters, type CombineOptions } from "../../../src/adapter/combine.ts";
import { loadAdapter } from "../../../src/adapter/load.ts";
import type { Provenance } from "../../../src/adapter/provenance.ts";
import { SafetensorsFile } from "../../../src/io/safetensors.ts";
import { baseModelOf } from "../../../src/adapter/base_model.ts";
import { modelIdentity, openModelSource } from "../../../src/model/source.ts";
import { copyFolder, editJson, editTensors } from "../../bad_files/kinds.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const GOLDEN = fileURLToPath(new URL("../../golden", import.meta.url));
const golden = (name: string) => join(GOLDEN, "adapters", name);
const MODEL = join(GOLDEN, "tiny_llama");
const Q = "model.layers.0.self_attn.q_proj";

/** Combines in a folder of its own and loads what came out. */
function combine(dir: string, options: Omit<CombineOptions, "out">, name = "out") {
  using source = openModelSource(MODEL);
  const base = baseModelOf(source);
  const out = join(dir, name);
  return combineAdapters({ ...options, out }).then((result) => ({
    result,
    out,
    adapter: loadAdapter(out, base),
  }));
}

/** Every delta that is not 0, by module and position. */
function deltasOf({ modules }: Adapter): Record<string, [number, number][]> {
  return Object.fromEntries([...modules].map(([name, { indices, values }]) => [
    name,
    [...indices].map((index, slot): [number, number] => [index, values[slot]!])
      .filter(([, value]) => value !== 0),
  ]));
}

/** A copy of a golden SFT adapter that records a base model. */
function recording(dir: string, name: string, hash: string, shape: [number, number]): string {
  const folder = join(dir, name);
  Deno.mkdirSync(folder);
  const source = golden("sft_fork_f32");
  const weights = "adapter_model.safetensors";
  Deno.copyFileSync(join(source, weights), join(folder, weights));
  const spiel: Provenance = {
    format_version: 1,
    program_version: "0.1.0",
    base_model_hash: hash,
    method: "spiel-ag",
    step: 7,
    base_shapes: { [Q]: shape },
  };
  const config = JSON.parse(Deno.readTextFileSync(join(source, "adapter_config.json")));
  const text = JSON.stringify({ ...config, spiel });
  Deno.writeTextFileSync(join(folder, "adapter_config.json"), text);
  return folder;
}

const SFT = golden("sft_fork_f32");

Deno.test("a sum has every position, and counts those of more than one term", () => {
  const of = (...pairs: [number, number][]) => ({
    indices: Uint32Array.from(pairs, ([index]) => index),
    values: Float32Array.from(pairs, ([, value]) => value),
  });
  const { deltas, overlaps } = sumDeltas([
    { deltas: of([1, 1], [4, 2], [9, 3], [4_000_000_000, 5]), factor: 2 },
    { deltas: of([0, 1], [4, 2], [9, 6]), factor: -1 },
    { deltas: of([4, 0.5]), factor: 1 },
  ]);
  assert.equal(overlaps, 2);
  assert.deepEqual(deltas, of([0, -1], [1, 2], [4, 2.5], [4_000_000_000, 10]));
  assert.deepEqual(sumDeltas([]).deltas, of());
});

Deno.test("padding fills the first free positions and moves nothing", () => {
  const deltas = { indices: Uint32Array.of(1, 2, 7), values: Float32Array.of(5, 6, 7) };
  assert.deepEqual(padDeltas(deltas, 3), deltas);
  assert.deepEqual(padDeltas(deltas, 5), {
    indices: Uint32Array.of(0, 1, 2, 3, 7),
    values: Float32Array.of(0, 5, 6, 0, 7),
  });
  assert.deepEqual(padDeltas(deltas, 8).indices, Uint32Array.of(0, 1, 2, 3, 4, 5, 6, 7));
});

Deno.test("SFT becomes the SUPERTUNING adapter that PEFT loads with the same logits", () =>
  withTempDir(async (dir) => {
    const { result, adapter, out } = await combine(dir, {
      terms: [{ adapter: SFT }],
      layout: "supertuning",
      model: MODEL,
    });
    assert.deepEqual([result.deltas, result.overlaps, result.padding], [2464, 0, 0]);
    assert.deepEqual(adapter.modules, loadAdapter(golden("supertuning_from_sft")).modules);
    const text = (folder: string) => Deno.readTextFileSync(join(folder, "adapter_config.json"));
    const theirs = JSON.parse(text(golden("supertuning_from_sft")));
    const { spiel, sparsity, ...ours } = JSON.parse(text(out));
    using source = openModelSource(MODEL);
    assert.equal(spiel.base_model_hash, await modelIdentity(source));
    assert.deepEqual(spiel.base_shapes[Q], [64, 64]);
    // The room that PEFT makes for each module is what is stored.
    for (const [name, { values }] of adapter.modules) {
      const [rows, columns] = baseModelOf(source).shapeOf(name)!;
      assert.equal(Math.trunc(rows * columns * (1 - sparsity)), values.length, name);
    }
    const { peft_version: _, sparsity: __, target_modules, ...rest } = theirs;
    assert.deepEqual(ours, { ...rest, target_modules: target_modules.sort() });
  }));

Deno.test("the targets select the modules that have deltas, and no others", () =>
  withTempDir(async (dir) => {
    const targets = async (adapter: string, name: string) => {
      const { out } = await combine(dir, { terms: [{ adapter }], model: MODEL }, name);
      return JSON.parse(Deno.readTextFileSync(join(out, "adapter_config.json"))).target_modules;
    };
    const modules = [...loadAdapter(SFT).modules.keys()];
    const endOf = (name: string) => name.slice(name.lastIndexOf(".") + 1);
    const ends = [...new Set(modules.map(endOf))].sort();
    assert.deepEqual(await targets(SFT, "all"), ends);
    // Without one module, its end would select what has no deltas.
    const some = join(dir, "some");
    copyFolder(SFT, some);
    editTensors(join(some, "adapter_model.safetensors"), (tensors) => {
      for (const key of [...tensors.keys()]) if (key.includes(Q)) tensors.delete(key);
    });
    editJson<{ num_deltas: Record<string, number> }>(
      join(some, "adapter_config.json"),
      ({ num_deltas }) => {
        delete num_deltas[Q];
      },
    );
    const expected = [
      ...ends.filter((end) => end !== endOf(Q)),
      ...modules.filter((name) => name !== Q && endOf(name) === endOf(Q)),
    ];
    assert.deepEqual(await targets(some, "less"), expected.sort());
  }));

Deno.test("conversions there and back keep every delta", async (test) => {
  const PATHS: [from: string, layouts: string[]][] = [
    ["sft_fork_f32", ["shira", "sft"]],
    ["sft_fork_f32", ["supertuning", "shira", "supertuning", "sft"]],
    ["sft_fork_bf16", ["supertuning", "sft"]],
    ["shira", ["supertuning", "shira"]],
    ["supertuning", ["shira", "supertuning"]],
  ];
  for (const [from, layouts] of PATHS) {
    await test.step(`${from} → ${layouts.join(" → ")}`, () =>
      withTempDir(async (dir) => {
        using source = openModelSource(MODEL);
        const original = loadAdapter(golden(from), baseModelOf(source));
        let adapter = golden(from);
        for (const [index, layout] of layouts.entries()) {
          const made = await combine(
            dir,
            { terms: [{ adapter }], layout, model: MODEL },
            String(index),
          );
          adapter = made.out;
          assert.deepEqual(deltasOf(made.adapter), deltasOf(original));
        }
        if (layouts.at(-1) !== "sft") return;
        const zeros = [...loadAdapter(adapter).modules.values()].flatMap(({ values }) =>
          [...values].filter((value) => value === 0)
        );
        assert.deepEqual(zeros, []);
      }));
  }
});

Deno.test("SHIRA has one rank, and as many deltas as that asks for", () =>
  withTempDir(async (dir) => {
    const options = { terms: [{ adapter: SFT }], layout: "SHIRA", model: MODEL };
    const { out, result } = await combine(dir, options);
    using file = SafetensorsFile.open(join(out, "adapter_model.safetensors"));
    const { r } = JSON.parse(Deno.readTextFileSync(join(out, "adapter_config.json")));
    assert.equal(r, 2);
    const entry = file.entry(`base_model.model.${Q}.shira_indices`);
    assert.deepEqual([entry.dtype, entry.shape], ["I32", [2, r * 128]]);
    assert.equal(result.padding, 4624 - 2464);
  }));

Deno.test("what is added is taken away by subtraction, and scaling multiplies", () =>
  withTempDir(async (dir) => {
    const [a, b] = [SFT, golden("supertuning")];
    const sum = await combine(dir, { terms: [{ adapter: a }, { adapter: b }] }, "sum");
    const union = (name: string, folders: string[]) =>
      new Set(folders.flatMap((one) => [...loadAdapter(one).modules.get(name)!.indices])).size;
    let overlaps = 0;
    for (const [name, { indices }] of sum.adapter.modules) {
      assert.equal(indices.length, union(name, [a, b]));
      const one = (folder: string) => loadAdapter(folder).modules.get(name)!.indices.length;
      overlaps += one(a) + one(b) - indices.length;
    }
    assert.equal(sum.result.overlaps, overlaps);
    const terms = [{ adapter: sum.out }, { adapter: b, factor: -1 }];
    const left = await combine(dir, { terms }, "left");
    const original = deltasOf(loadAdapter(a));
    for (const [name, pairs] of Object.entries(original)) {
      const found = new Map(deltasOf(left.adapter)[name]);
      for (const [index, value] of pairs) {
        assert.ok(Math.abs((found.get(index) ?? NaN) - value) < 1e-6, `${name} ${index}`);
      }
    }
    const half = await combine(dir, { terms: [{ adapter: a, factor: -0.5 }] }, "half");
    const expected = Object.entries(original).map(([name, pairs]) => [
      name,
      pairs.map(([index, value]) => [index, -0.5 * value]),
    ]);
    assert.deepEqual(deltasOf(half.adapter), Object.fromEntries(expected));
  }));

Deno.test("what is known of the base and of a single training is kept", () =>
  withTempDir(async (dir) => {
    const one = recording(dir, "one", "a".repeat(64), [64, 64]);
    const made = await combine(dir, { terms: [{ adapter: one }] }, "converted");
    assert.deepEqual(made.adapter.config.spiel, loadAdapter(one).config.spiel);
    const warnings: string[] = [];
    const onWarning = (message: string) => void warnings.push(message);
    const terms = [{ adapter: one }, { adapter: golden("supertuning") }];
    const sum = await combine(dir, { terms, onWarning }, "sum");
    const { base_model_hash, method, step } = sum.adapter.config.spiel ?? {};
    assert.deepEqual([base_model_hash, method, step], ["a".repeat(64), undefined, undefined]);
    assert.match(warnings.join(), /^Adapter ".*supertuning" does not record its base model/);
    warnings.length = 0;
    await combine(dir, { terms: [{ adapter: one }], model: MODEL, onWarning }, "warned");
    assert.match(warnings.join(), /one" was trained on another base model than ".*tiny_llama"/);
  }));

Deno.test("a conversion there and back says nothing of a training that it does not know", () =>
  withTempDir(async (dir) => {
    const there = { terms: [{ adapter: SFT }], layout: "supertuning", model: MODEL };
    const { out } = await combine(dir, there, "there");
    const { out: back } = await combine(dir, { terms: [{ adapter: out }] }, "back");
    const json = JSON.parse(Deno.readTextFileSync(join(back, "adapter_config.json")));
    assert.deepEqual(Object.keys(json).filter((key) => /selection/.test(key)), []);
    assert.equal(json.density, null);
    const { reselection_steps, selection_algorithm, density } = describeAdapter(back);
    assert.deepEqual([reselection_steps, selection_algorithm, density], [null, null, null]);
  }));

/** A copy of a golden SFT adapter whose base model is called otherwise. */
function ofOtherName(dir: string): string {
  const folder = recording(dir, "renamed", "a".repeat(64), [64, 64]);
  const path = join(folder, "adapter_config.json");
  const { spiel: _, ...config } = JSON.parse(Deno.readTextFileSync(path));
  const named = { ...config, base_model_name_or_path: "models/other" };
  Deno.writeTextFileSync(path, JSON.stringify(named));
  return folder;
}

Deno.test("adapters of different base models are added where that is asked for, with a warning", () =>
  withTempDir(async (dir) => {
    const warnings: string[] = [];
    const { result } = await combine(dir, {
      terms: [{ adapter: SFT }, { adapter: ofOtherName(dir) }],
      allowOtherBase: true,
      onWarning: (message) => void warnings.push(message),
    });
    assert.equal(result.overlaps, 2464);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0]!,
      /different base models \(base_model_name_or_path .* and models\/other\)/,
    );
  }));

/** What is wrong, what is asked for, the kind of error, and the message. */
const BAD: [
  title: string,
  options: (dir: string) => Omit<CombineOptions, "out">,
  kind: string,
  words: RegExp,
][] = [
  [
    "adapters of different base models",
    (dir) => ({
      terms: [
        { adapter: recording(dir, "one", "a".repeat(64), [64, 64]) },
        { adapter: recording(dir, "two", "b".repeat(64), [64, 64]) },
      ],
    }),
    "data",
    /one" and ".*two" were trained on different base models \(base_model_hash a{64} and b{64}\)/,
  ],
  [
    "adapters whose base models are called differently",
    (dir) => ({ terms: [{ adapter: SFT }, { adapter: ofOtherName(dir) }] }),
    "data",
    /different base models \(base_model_name_or_path .*; --allow-other-base adds them all the same/,
  ],
  [
    "a base model of other shapes",
    (dir) => ({
      terms: [{ adapter: recording(dir, "one", "a".repeat(64), [64, 63]) }],
      model: MODEL,
    }),
    "data",
    /does not fit its base model: it has ".*q_proj" of shape \[64, 63\], and the model has shape \[64, 64\]/,
  ],
  [
    "a position beyond what the base model has",
    (dir) => ({ terms: [{ adapter: recording(dir, "one", "a".repeat(64), [2, 2]) }] }),
    "data",
    /a delta at position \d+ of ".*q_proj", and the model has shape \[2, 2\]/,
  ],
  [
    "shapes that nobody records",
    () => ({ terms: [{ adapter: SFT }], layout: "shira" }),
    "data",
    /does not record the shape of ".*", which SHIRA depends on; name its base model by --model/,
  ],
  [
    "whole matrices",
    () => ({ terms: [{ adapter: golden("lora_r4") }] }),
    "data",
    /\(LORA\) changes whole matrices, and only sparse deltas can be converted, added and scaled/,
  ],
  [
    "nothing that is left",
    () => ({ terms: [{ adapter: SFT }, { adapter: SFT, factor: -1 }] }),
    "data",
    /Every delta of the result is 0/,
  ],
  [
    "a layout that is not written",
    () => ({ terms: [{ adapter: SFT }], layout: "lora" }),
    "usage",
    /the layout is "lora"; expected one of sft, supertuning, shira/,
  ],
  [
    "more than f32 holds",
    () => ({ terms: [{ adapter: SFT, factor: 1e39 }] }),
    "usage",
    /1e\+39 times the deltas of ".*" of ".*sft_fork_f32" is more than f32 holds/,
  ],
];

for (const [title, options, kind, message] of BAD) {
  Deno.test(`refused when adapters are combined: ${title}`, () =>
    withTempDir(async (dir) => {
      const given = options(dir);
      await assert.rejects(combineAdapters({ ...given, out: join(dir, "out") }), { kind, message });
      assert.ok(![...Deno.readDirSync(dir)].some(({ name }) => name.includes("out")));
    }));
}

Deno.test("a folder in use is not written over", () =>
  withTempDir(async (dir) => {
    Deno.writeTextFileSync(join(dir, "notes.txt"), "");
    await assert.rejects(combineAdapters({ terms: [{ adapter: SFT }], out: dir }), {
      kind: "usage",
      message: /exists already/,
    });
  }));
