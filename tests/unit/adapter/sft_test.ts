/** The SFT adapter layout: the reference's own files, round trips, refusals, interrupted saves. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  saveSftAdapter,
  type SftAdapter,
  type SftAdapterInput,
  type SftModuleInput,
} from "../../../src/adapter/layouts/sft.ts";
import { encodeSftConfig } from "../../../src/adapter/layouts/sft_config.ts";
import { loadAdapter } from "../../../src/adapter/load.ts";
import { PROVENANCE_VERSION } from "../../../src/adapter/provenance.ts";
import type { SparseDeltas } from "../../../src/adapter/deltas.ts";
import { denoFiles } from "../../../src/io/files.ts";
import { SafetensorsFile } from "../../../src/io/safetensors.ts";
import { encodeSafetensors, type TensorData } from "../../support/encode_safetensors.ts";
import { FaultyFiles } from "../../support/faulty_files.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const golden = (name: string) =>
  fileURLToPath(new URL(`../../golden/adapters/${name}`, import.meta.url));

const Q = "model.layers.0.self_attn.q_proj";
const V = "model.layers.0.self_attn.v_proj";
const key = (module: string, field: string) => `base_model.model.${module}.sft_delta.${field}`;

const loadSftAdapter = (dir: string) => loadAdapter(dir) as SftAdapter;

/** Deltas in memory as what is saved, in parts of two. */
function toSave({ indices, values }: SparseDeltas): SftModuleInput {
  async function* parts<A extends Uint32Array | Float32Array>(array: A) {
    for (let at = 0; at < array.length; at += 2) yield array.slice(at, at + 2) as A;
  }
  return {
    count: values.length,
    indices: () => parts(indices as Uint32Array<ArrayBuffer>),
    values: () => parts(values as Float32Array<ArrayBuffer>),
  };
}

/** A loaded adapter as one to save. */
function again({ config, modules }: SftAdapter): SftAdapterInput {
  return { config, modules: new Map([...modules].map(([name, one]) => [name, toSave(one)])) };
}

const INPUT: SftAdapterInput = {
  config: {
    base_model_name_or_path: "tiny_llama",
    density: 0.02,
    target_modules: ["q_proj", "v_proj"],
    spiel: {
      format_version: PROVENANCE_VERSION,
      program_version: "0.1.0",
      base_model_hash: "b".repeat(64),
      method: "spiel-ag",
      step: 40,
    },
  },
  modules: new Map([
    [V, toSave({ indices: Uint32Array.of(1, 4, 9), values: Float32Array.of(-0.25, 0.5, 3) })],
    [Q, toSave({ indices: Uint32Array.of(0, 7), values: Float32Array.of(-0, 1e-30) })],
  ]),
};

const read = (dir: string, name: string) => Deno.readFileSync(join(dir, name));

/** Writes an adapter folder by hand: the golden's configuration with changes, and these tensors. */
function writeAdapter(
  dir: string,
  changes: Record<string, unknown>,
  tensors: Record<string, TensorData>,
): void {
  const config = JSON.parse(
    Deno.readTextFileSync(join(golden("sft_fork_f32"), "adapter_config.json")),
  );
  Deno.writeTextFileSync(
    join(dir, "adapter_config.json"),
    JSON.stringify({ ...config, ...changes }),
  );
  const bytes = encodeSafetensors(new Map(Object.entries(tensors)));
  Deno.writeFileSync(join(dir, "adapter_model.safetensors"), bytes);
}

/** One module with these deltas, as `writeAdapter` takes them. */
function oneModule(indices: ArrayBufferView, values: ArrayBufferView, count: number) {
  const dtype = indices instanceof BigInt64Array ? "I64" : "I32";
  return {
    [key(Q, "indices")]: { dtype, shape: [count], data: indices },
    [key(Q, "values")]: { dtype: "F32", shape: [count], data: values },
  } as Record<string, TensorData>;
}

Deno.test("the reference's adapters load with every delta at its place", () => {
  for (
    const [name, dtype, modules] of [["sft_fork_f32", "F32", 14], [
      "sft_fork_bf16",
      "BF16",
      6,
    ]] as const
  ) {
    const adapter = loadSftAdapter(golden(name));
    using file = SafetensorsFile.open(join(golden(name), "adapter_model.safetensors"));
    assert.equal(adapter.modules.size, modules);
    for (const [module, { indices, values, dtype: stored }] of adapter.modules) {
      assert.equal(stored, dtype);
      assert.equal(indices.length, adapter.config.num_deltas![module]);
      assert.ok(indices.every((index, slot) => slot === 0 || indices[slot - 1]! < index), module);
      const rawIndices = new Int32Array(file.read(key(module, "indices")).buffer);
      const rawValues = new DataView(file.read(key(module, "values")).buffer);
      const valueAt = new Map([...rawIndices].map((index, slot) => [
        index,
        dtype === "F32" ? rawValues.getFloat32(4 * slot, true) : bf16(rawValues, slot),
      ]));
      assert.equal(valueAt.size, indices.length);
      assert.deepEqual([...values], [...indices].map((index) => valueAt.get(index)));
    }
  }
});

function bf16(view: DataView, slot: number): number {
  const widened = new DataView(new ArrayBuffer(4));
  widened.setUint16(2, view.getUint16(2 * slot, true), true);
  return widened.getFloat32(0, true);
}

Deno.test("the reference's configuration is written back byte for byte", () => {
  for (const name of ["sft_fork_f32", "sft_fork_bf16"]) {
    const { config } = loadSftAdapter(golden(name));
    const original = Deno.readTextFileSync(join(golden(name), "adapter_config.json"));
    assert.equal(encodeSftConfig(config), original);
  }
});

Deno.test("a saved adapter has the layout, and saving what was loaded gives the same bytes", () =>
  withTempDir(async (dir) => {
    const [first, second] = [join(dir, "first"), join(dir, "second")];
    await saveSftAdapter(denoFiles, first, INPUT);
    const adapter = loadSftAdapter(first);
    assert.deepEqual([...adapter.modules.keys()], [Q, V]);
    assert.deepEqual(adapter.modules.get(V), {
      indices: Uint32Array.of(1, 4, 9),
      values: Float32Array.of(-0.25, 0.5, 3),
      dtype: "F32",
    });
    assert.deepEqual(adapter.config.num_deltas, { [Q]: 2, [V]: 3 });
    assert.deepEqual(adapter.config.spiel, INPUT.config.spiel);
    using file = SafetensorsFile.open(join(first, "adapter_model.safetensors"));
    assert.deepEqual(file.metadata, { format: "pt" });
    assert.equal(file.entry(key(Q, "indices")).dtype, "I32");
    const json = JSON.parse(Deno.readTextFileSync(join(first, "adapter_config.json")));
    const reference = JSON.parse(
      Deno.readTextFileSync(join(golden("sft_fork_f32"), "adapter_config.json")),
    );
    const { spiel: _, ...shared } = json;
    const isTraining = (key: string) => /selection/.test(key);
    // How the deltas were trained is not told, so nothing is said of it.
    assert.deepEqual(
      Object.keys(shared).sort(),
      Object.keys(reference).filter((key) => !isTraining(key)).sort(),
    );
    assert.deepEqual(Object.keys(json), Object.keys(json).sort());

    await saveSftAdapter(denoFiles, second, again(adapter));
    for (const name of ["adapter_config.json", "adapter_model.safetensors"]) {
      assert.deepEqual(read(second, name), read(first, name));
    }
  }));

Deno.test("I64 indices load, and indices beyond 31 bits are written as I64", () =>
  withTempDir(async (dir) => {
    const indices = BigInt64Array.of(5n, 4_000_000_000n, 2n);
    const values = Float32Array.of(1, 2, 3);
    writeAdapter(dir, { num_deltas: { [Q]: 3 } }, oneModule(indices, values, 3));
    const adapter = loadSftAdapter(dir);
    assert.deepEqual(adapter.modules.get(Q)?.indices, Uint32Array.of(2, 5, 4_000_000_000));
    assert.deepEqual(adapter.modules.get(Q)?.values, Float32Array.of(3, 1, 2));
    await saveSftAdapter(denoFiles, join(dir, "out"), again(adapter));
    assert.deepEqual(loadSftAdapter(join(dir, "out")).modules, adapter.modules);
    using file = SafetensorsFile.open(join(dir, "out", "adapter_model.safetensors"));
    assert.equal(file.entry(key(Q, "indices")).dtype, "I64");
  }));

Deno.test("f16 values load exactly", () =>
  withTempDir((dir) => {
    const tensors = oneModule(Int32Array.of(1, 2), new Float16Array([-0.5, 65504]), 2);
    tensors[key(Q, "values")] = { ...tensors[key(Q, "values")]!, dtype: "F16" };
    writeAdapter(dir, { num_deltas: { [Q]: 2 }, dtype: "float16" }, tensors);
    const module = loadSftAdapter(dir).modules.get(Q);
    assert.deepEqual(module?.values, Float32Array.of(-0.5, 65504));
    assert.equal(module?.dtype, "F16");
  }));

const F = Float32Array.of(1, 2);
const I = Int32Array.of(3, 8);

/** What is wrong, how it is written, and what the message must say. */
const REFUSALS: [string, Record<string, unknown>, Record<string, TensorData>, RegExp][] = [
  [
    "an unknown layout",
    { peft_type: "VERA" },
    oneModule(I, F, 2),
    /peft_type is "VERA"; expected one of SFT, SUPERTUNING/,
  ],
  [
    "no layout",
    { peft_type: undefined },
    oneModule(I, F, 2),
    /has no peft_type, expected one of SFT/,
  ],
  [
    "no deltas",
    { num_deltas: { [Q]: 0 } },
    oneModule(Int32Array.of(), Float32Array.of(), 0),
    /has no deltas$/,
  ],
  ["a duplicate", {}, oneModule(Int32Array.of(8, 8), F, 2), /q_proj": index 8 occurs twice/],
  [
    "a negative index",
    {},
    oneModule(Int32Array.of(3, -8), F, 2),
    /q_proj.sft_delta.indices": index -8 in slot 1, expected 0 to 2\^32 - 1/,
  ],
  [
    "an index beyond 32 bits",
    {},
    oneModule(BigInt64Array.of(1n, 1n << 32n), F, 2),
    /index 4294967296 in slot 1/,
  ],
  [
    "another length",
    { num_deltas: { [Q]: 3 } },
    oneModule(I, F, 2),
    /2 deltas, but num_deltas says 3/,
  ],
  ["an undeclared module", { num_deltas: {} }, oneModule(I, F, 2), /says nothing of it/],
  [
    "a missing module",
    { num_deltas: { [Q]: 2, [V]: 2 } },
    oneModule(I, F, 2),
    /num_deltas names ".*v_proj", but adapter_model.safetensors has no deltas of it/,
  ],
  [
    "unequal arrays",
    {},
    {
      ...oneModule(I, F, 2),
      [key(Q, "indices")]: { dtype: "I32", shape: [1], data: I.subarray(1) },
    },
    /values of shape \[2\] and indices of shape \[1\], expected one dimension/,
  ],
  [
    "values alone",
    {},
    { [key(Q, "values")]: { dtype: "F32", shape: [2], data: F } },
    /has no tensor ".*q_proj.sft_delta.indices"/,
  ],
  [
    "a foreign tensor",
    {},
    { ...oneModule(I, F, 2), "lm_head.weight": { dtype: "F32", shape: [2], data: F } },
    /tensor "lm_head.weight", expected only names such as/,
  ],
  ["a non-finite value", {}, oneModule(I, Float32Array.of(1, NaN), 2), /slot 1 is not finite/],
  [
    "values of another dtype",
    {},
    { ...oneModule(I, F, 2), [key(Q, "values")]: { dtype: "I32", shape: [2], data: I } },
    /dtype I32, expected F32, F16 or BF16/,
  ],
  [
    "a bad field",
    { reselection_steps: "often" },
    oneModule(I, F, 2),
    /reselection_steps: .*number/,
  ],
  ["whole modules", { modules_to_save: ["lm_head"] }, oneModule(I, F, 2), /modules_to_save names/],
];

for (const [what, changes, tensors, message] of REFUSALS) {
  Deno.test(`refused: ${what}`, () =>
    withTempDir((dir) => {
      writeAdapter(dir, { num_deltas: { [Q]: 2 }, ...changes }, tensors);
      assert.throws(() => loadSftAdapter(dir), { kind: "data", message });
    }));
}

Deno.test("refused: a missing folder, a missing file, a pickle that is none", () =>
  withTempDir((dir) => {
    const refused = (path: string, message: RegExp) =>
      assert.throws(() => loadSftAdapter(path), { kind: "data", message });
    refused(join(dir, "missing"), /no such folder/);
    Deno.writeTextFileSync(join(dir, "notes.txt"), "");
    refused(join(dir, "notes.txt"), /it is a file, expected a folder$/);
    refused(dir, /has no adapter_config.json/);
    writeAdapter(dir, {}, {});
    Deno.removeSync(join(dir, "adapter_model.safetensors"));
    refused(dir, /has no adapter_model.safetensors/);
    Deno.writeTextFileSync(join(dir, "adapter_model.bin"), "PK");
    refused(dir, /adapter_model.bin: it is no zip archive/);
    Deno.writeTextFileSync(join(dir, "adapter_config.json"), '{"peft_type": "SFT"');
    refused(dir, /adapter_config.json is not valid JSON/);
  }));

Deno.test("a value that is not finite is never saved", () =>
  withTempDir(async (dir) => {
    const deltas = { indices: Uint32Array.of(1, 2), values: Float32Array.of(0, Infinity) };
    const modules = new Map([[Q, toSave(deltas)]]);
    await assert.rejects(saveSftAdapter(denoFiles, join(dir, "out"), { ...INPUT, modules }), {
      kind: "numeric",
      message: /q_proj.sft_delta.values": the value in slot 1 is not finite/,
    });
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("any failing file call leaves the old adapter or the new, whole", async () => {
  const old = { ...INPUT, config: { ...INPUT.config, density: 0.5 } };
  using counter = new FaultyFiles(denoFiles);
  await withTempDir(async (dir) => {
    await saveSftAdapter(denoFiles, join(dir, "adapter"), old);
    await saveSftAdapter(counter, join(dir, "adapter"), INPUT);
  });
  for (let at = 0; at < counter.calls.length; at++) {
    await withTempDir(async (dir) => {
      const path = join(dir, "adapter");
      await saveSftAdapter(denoFiles, path, old);
      using files = new FaultyFiles(denoFiles, { at, kind: "error", code: "ENOSPC" });
      await assert.rejects(saveSftAdapter(files, path, INPUT), {
        kind: "storage",
        message: /^Cannot save adapter ".*": no space left/,
      });
      assert.ok([0.5, 0.02].includes(loadSftAdapter(path).config.density!));
    });
  }
});
