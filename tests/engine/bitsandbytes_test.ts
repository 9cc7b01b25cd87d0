/** Models that bitsandbytes has quantised: the weights it dequantises, to the bit; trained on, and merged to 16 bits. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mergeAdapter } from "../../src/export/merge.ts";
import { tokenizerFiles } from "../../src/data/tokenizer.ts";
import { SafetensorsFile } from "../../src/io/safetensors.ts";
import { inferenceUse, loadModel } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import { copyFolder, editTensor, editTensors } from "../bad_files/kinds.ts";
import { byteTokenizer } from "../support/byte_tokenizer.ts";
import { engineTest, gpuDevices, HOSTED_DEVICES } from "../support/hosts.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { TinyRun } from "../support/tiny_run.ts";

const GOLDEN = decodeURIComponent(new URL("../golden/bitsandbytes", import.meta.url).pathname);
const CASES = ["nf4", "nf4_double"] as const;
const LOGITS_BOUND = 5e-5;

engineTest(
  "bitsandbytes: matrices are what bitsandbytes dequantises, and the logits follow",
  async (engine) => {
    const hashes = JSON.parse(Deno.readTextFileSync(`${GOLDEN}/dequantized.json`));
    using expected = SafetensorsFile.open(`${GOLDEN}/expected.safetensors`);
    const tokens = Uint32Array.from(new BigInt64Array(expected.read("input_ids").buffer), Number);
    for (const name of CASES) {
      using source = openModelSource(`${GOLDEN}/${name}`);
      const { tensors } = await loadModel(engine, source, inferenceUse(tokens.length));
      const matrices = tensors.filter(({ format }) => format === "nf4");
      assert.deepEqual(matrices.map((one) => one.name).sort(), Object.keys(hashes[name]).sort());
      for (const { name: matrix, shape: [rows = 0] } of matrices) {
        const values = await engine.readTensor(matrix, 0, rows, "f32", true);
        const hash = createHash("sha256").update(values).digest("hex");
        assert.equal(hash, hashes[name][matrix], matrix);
      }
      const targets = new Uint32Array(tokens.length).fill(0xFFFFFFFF);
      const cuSeqlens = Uint32Array.of(0, tokens.length);
      const { output } = await engine.forward({ tokens, targets, cuSeqlens }, "logits");
      const wanted = new Float32Array(expected.read(`${name}.logits`).buffer);
      const largest = output.reduce((most, x, i) => Math.max(most, Math.abs(x - wanted[i]!)), 0);
      assert.equal(output.length, wanted.length);
      assert.ok(largest <= LOGITS_BOUND, `${name}: logits are off by ${largest}`);
    }
  },
  [...HOSTED_DEVICES, ...await gpuDevices()],
);

Deno.test("bitsandbytes: any range of a matrix's bytes is the range of the whole", () => {
  using source = openModelSource(`${GOLDEN}/nf4_double`);
  const name = "model.layers.0.mlp.down_proj.weight";
  const { byteLength } = source.tensors.get(name)!;
  const whole = source.read(name, 0, byteLength);
  for (let offset = 0; offset < byteLength; offset += 355) {
    for (const length of [0, 1, 35, 36, 4096, byteLength]) {
      const end = Math.min(byteLength, offset + length);
      assert.deepEqual(source.read(name, offset, end - offset), whole.slice(offset, end));
    }
  }
});

Deno.test("bitsandbytes: the parts of a matrix may lie in several files", () =>
  withTempDir((folder) => {
    copyFolder(`${GOLDEN}/nf4_double`, folder);
    const shards = ["codes", "magnitudes", "rest"].map((name) => `${name}.safetensors`);
    const [codes, magnitudes, rest] = shards;
    const weight_map: Record<string, string> = {};
    for (const shard of shards) {
      Deno.copyFileSync(`${folder}/model.safetensors`, `${folder}/${shard}`);
      editTensors(`${folder}/${shard}`, (tensors) => {
        for (const name of [...tensors.keys()]) {
          const own = name.endsWith(".weight")
            ? codes
            : name.endsWith(".absmax")
            ? magnitudes
            : rest;
          if (own === shard) weight_map[name] = shard;
          else tensors.delete(name);
        }
      });
    }
    Deno.removeSync(`${folder}/model.safetensors`);
    Deno.writeTextFileSync(
      `${folder}/model.safetensors.index.json`,
      JSON.stringify({ weight_map }),
    );
    using whole = openModelSource(`${GOLDEN}/nf4_double`);
    using cut = openModelSource(folder);
    assert.deepEqual(cut.tensors, whole.tensors);
    for (const [name, { byteLength }] of whole.tensors) {
      assert.deepEqual(cut.read(name, 0, byteLength), whole.read(name, 0, byteLength), name);
    }
  }));

Deno.test("bitsandbytes: a magnitude that is not finite is refused when it is read", () =>
  withTempDir((folder) => {
    copyFolder(`${GOLDEN}/nf4`, folder);
    const name = "model.layers.0.mlp.down_proj.weight";
    editTensor(`${folder}/model.safetensors`, `${name}.absmax`, ({ data }) => {
      new DataView(data.buffer, data.byteOffset).setFloat32(4 * 100, NaN, true);
      return { data };
    });
    using source = openModelSource(folder);
    const blockBytes = 36;
    assert.equal(source.read(name, 0, 100 * blockBytes).length, 100 * blockBytes);
    assert.throws(() => source.read(name, 99 * blockBytes, 2 * blockBytes), {
      kind: "data",
      message: `${folder}/model.safetensors: tensor "${name}.absmax" is NaN at 100; ` +
        "expected a finite magnitude",
    });
  }));

for (const place of HOSTED_DEVICES) {
  Deno.test(
    `bitsandbytes: a base to train on and to merge into, in 16 bits (${place.name})`,
    { ignore: place.ignore },
    async () => {
      using tiny = new TinyRun();
      const model = tiny.out("quantised");
      Deno.mkdirSync(model);
      for (const { name } of Deno.readDirSync(`${GOLDEN}/nf4_double`)) {
        Deno.copyFileSync(`${GOLDEN}/nf4_double/${name}`, `${model}/${name}`);
      }
      for (const [name, text] of tokenizerFiles(byteTokenizer())) {
        Deno.writeTextFileSync(`${model}/${name}`, text);
      }
      const { events } = await tiny.train(place, "run", { model });
      const losses = events.flatMap((event) => event.type === "eval" ? [event.loss] : []);
      assert.ok(losses.at(-1)! < losses[0]! - 0.1, `${losses}`);

      const adapter = tiny.out("run/adapter");
      const out = tiny.out("merged");
      const { dtype } = await mergeAdapter({ model, adapter, out, host: place.host });
      assert.equal(dtype, "bf16");
      const config = JSON.parse(Deno.readTextFileSync(`${out}/config.json`));
      assert.equal(config.quantization_config, undefined);
      using source = openModelSource(out);
      const formats = [...source.tensors.values()].map(({ format }) => format);
      assert.ok(formats.every((format) => format === "bf16"), `${formats}`);
    },
  );
}
