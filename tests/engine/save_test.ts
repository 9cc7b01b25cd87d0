/** Saved models: shards, dtypes, and a folder that appears whole or not at all. */

import assert from "node:assert/strict";
import type { Engine } from "../../src/engine/engine.ts";
import { denoFiles } from "../../src/io/files.ts";
import { SafetensorsFolder } from "../../src/io/safetensors_shards.ts";
import { inferenceUse, loadModel } from "../../src/model/load.ts";
import { saveModel, type SaveModelOptions } from "../../src/model/save.ts";
import { openModelSource } from "../../src/model/source.ts";
import { engineTest } from "../support/hosts.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { tinyConfig, tinyWeights, writeTinyFolder } from "../support/tiny_model.ts";

const MODEL = decodeURIComponent(
  new URL("../golden/tiny_llama_tied_rope3", import.meta.url).pathname,
);

/** The model's logits for a few tokens. */
async function logits(engine: Engine, folder: string): Promise<Float32Array> {
  using source = openModelSource(folder);
  await loadModel(engine, source, inferenceUse(16));
  const tokens = Uint32Array.of(5, 9, 100, 31);
  const targets = new Uint32Array(4).fill(0xFFFFFFFF);
  return (await engine.forward({ tokens, targets, cuSeqlens: Uint32Array.of(0, 4) }, "logits"))
    .output;
}

async function save(engine: Engine, folder: string, options: SaveModelOptions, model = MODEL) {
  using source = openModelSource(model);
  const plan = await loadModel(engine, source, inferenceUse(16));
  return await saveModel(denoFiles, engine, source, plan.tensors, folder, options);
}

engineTest("save: f32 in shards is the same model", async (engine) => {
  await withTempDir(async (dir) => {
    const expected = await logits(engine, MODEL);
    const { bytes } = await save(engine, `${dir}/saved`, { dtype: "f32", maxShardBytes: 100_000 });
    const files = [...Deno.readDirSync(`${dir}/saved`)].map(({ name }) => name).sort();
    const shards = files.filter((name) => /^model-0000\d-of-0000\d\.safetensors$/.test(name));
    assert.ok(shards.length > 3 && files.includes("model.safetensors.index.json"), `${files}`);
    const sizes = shards.map((name) => Deno.statSync(`${dir}/saved/${name}`).size);
    assert.equal(sizes.reduce((sum, size) => sum + size, 0), bytes);
    assert.ok(sizes.every((size) => size < 110_000), `${sizes}`);
    assert.deepEqual(await logits(engine, `${dir}/saved`), expected);
    const config = JSON.parse(Deno.readTextFileSync(`${dir}/saved/config.json`));
    assert.equal(config.dtype, "float32");
    assert.equal(config.rope_parameters.rope_type, "llama3");
  });
});

engineTest(
  "save: a model of stacked matrices is the same with every matrix of its own",
  async (engine) => {
    await withTempDir(async (dir) => {
      const phi3 = decodeURIComponent(new URL("../golden/tiny_phi3", import.meta.url).pathname);
      await save(engine, `${dir}/saved`, { dtype: "f32" }, phi3);
      assert.deepEqual(await logits(engine, `${dir}/saved`), await logits(engine, phi3));
      const config = JSON.parse(Deno.readTextFileSync(`${dir}/saved/config.json`));
      assert.deepEqual([config.model_type, config.sliding_window], ["mistral", 8]);
    });
  },
);

engineTest("save: Gemma has its norms as they were, and floats in config.json", async (engine) => {
  await withTempDir(async (dir) => {
    const gemma2 = decodeURIComponent(new URL("../golden/tiny_gemma2", import.meta.url).pathname);
    await save(engine, `${dir}/saved`, { dtype: "f32" }, gemma2);
    using before = openModelSource(gemma2);
    using after = openModelSource(`${dir}/saved`);
    assert.deepEqual(after.config, before.config);
    for (const [name, { byteLength }] of before.tensors) {
      assert.deepEqual(after.read(name, 0, byteLength), before.read(name, 0, byteLength), name);
    }
    const config = Deno.readTextFileSync(`${dir}/saved/config.json`);
    assert.match(config, /"attn_logit_softcapping": 2\.0,\n/);
    assert.match(config, /"final_logit_softcapping": 3\.0,\n/);
  });
});

engineTest(
  "save: weights that a type cannot hold are refused, and nothing is saved",
  async (engine) => {
    await withTempDir(async (dir) => {
      const config = tinyConfig("llama");
      const weights = tinyWeights(config);
      const name = "model.layers.0.mlp.up_proj.weight";
      new Float32Array(weights.get(name)!.data.buffer)[3] = 1e6;
      writeTinyFolder(`${dir}/model`, "llama", config, weights);
      await assert.rejects(() => save(engine, `${dir}/f16`, { dtype: "f16" }, `${dir}/model`), {
        kind: "data",
        message: `A weight of "${name}" is infinite or not a number in f16; bf16 and f32 hold ` +
          "larger numbers",
      });
      assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["model"]);
      await save(engine, `${dir}/bf16`, { dtype: "bf16" }, `${dir}/model`);
    });
  },
);

engineTest("save: 16-bit files hold the rounded weights", async (engine) => {
  await withTempDir(async (dir) => {
    const expected = await logits(engine, MODEL);
    for (const [dtype, name, bound] of [["bf16", "BF16", 0.15], ["f16", "F16", 0.02]] as const) {
      const { bytes } = await save(engine, `${dir}/${dtype}`, { dtype });
      {
        using weights = SafetensorsFolder.open(`${dir}/${dtype}`);
        assert.deepEqual([...weights.files.keys()], ["model.safetensors"]);
        for (const tensor of weights.names()) assert.equal(weights.entry(tensor)?.dtype, name);
      }
      assert.ok(bytes < 260_000, `${bytes}`);
      const actual = await logits(engine, `${dir}/${dtype}`);
      const worst = actual.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i]!)), 0);
      assert.ok(worst > 0 && worst < bound, `${dtype}: ${worst}`);
    }
  });
});

engineTest("save: an interrupted save leaves nothing", async (engine) => {
  await withTempDir(async (dir) => {
    await assert.rejects(
      () => save(engine, `${dir}/saved`, { dtype: "f32", signal: AbortSignal.abort() }),
      { kind: "interrupted" },
    );
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  });
});
