/** Model sources: the same model from every kind of file, and refusals of those that are not what they say. */
import assert from "node:assert/strict";
import { ARCHITECTURES, ggufArchitectureOf } from "../../../src/model/architectures/mod.ts";
import { readHuggingFaceConfig } from "../../../src/model/hf_config.ts";
import { lacksWeights } from "../../../src/model/weightless.ts";
import {
  modelIdentity,
  openModelSource,
  openModelToPlan,
  openWithoutWeights,
} from "../../../src/model/source.ts";
import { encodeSafetensors, type TensorData } from "../../support/encode_safetensors.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";
import { tinyConfig, tinyGguf, tinyWeights, writeTinyFolder } from "../../support/tiny_model.ts";

const BITSANDBYTES = new URL("../../golden/bitsandbytes/nf4_double", import.meta.url).pathname;

const bytesOf = ({ data }: TensorData) =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

Deno.test("every architecture is read back from its folder and from its GGUF file", () =>
  withTempDir(async (dir) => {
    for (const { modelType, gguf } of ARCHITECTURES) {
      const config = tinyConfig(modelType);
      const weights = tinyWeights(config);
      writeTinyFolder(`${dir}/${modelType}`, modelType, config, weights);
      using folder = openModelSource(`${dir}/${modelType}`);
      assert.equal(folder.modelType, modelType);
      assert.deepEqual(folder.config, config);
      assert.deepEqual(folder.specialTokens, { bos: 1, eos: [2] });
      assert.deepEqual(new Set(folder.tensors.keys()), new Set(weights.keys()));
      Deno.writeFileSync(`${dir}/a.gguf`, tinyGguf(modelType, config, weights));
      using file = openModelSource(`${dir}/a.gguf`);
      assert.deepEqual(file.config, config);
      assert.deepEqual(file.specialTokens, { bos: 1, eos: [2] });
      for (const [name, tensor] of weights) {
        const expected = bytesOf(tensor);
        assert.deepEqual(file.tensors.get(name), folder.tensors.get(name), name);
        assert.deepEqual(file.read(name, 0, expected.length), expected, name);
        assert.deepEqual(folder.read(name, 0, expected.length), expected, name);
      }
      // Several may be stored as one, which is then what a file is read as.
      const { architecture } = ggufArchitectureOf(gguf.name, "");
      assert.equal(file.modelType, architecture.modelType);
      const isSame = await modelIdentity(file) === await modelIdentity(folder);
      assert.equal(isSame, architecture.modelType === modelType, modelType);
      const again = `${dir}/${modelType}.json`;
      Deno.writeTextFileSync(again, JSON.stringify(file.huggingFaceConfig()));
      assert.deepEqual(readHuggingFaceConfig(again).config, config);
    }
  }));

Deno.test("identity sees weights and settings, not how files are cut", () =>
  withTempDir(async (dir) => {
    const config = tinyConfig("llama");
    const weights = tinyWeights(config);
    writeTinyFolder(`${dir}/one`, "llama", config, weights);
    writeTinyFolder(`${dir}/shards`, "llama", config, weights);
    const halves = [[...weights].slice(0, 9), [...weights].slice(9)];
    const weightMap: Record<string, string> = {};
    halves.forEach((half, i) => {
      const file = `part-${i}.safetensors`;
      Deno.writeFileSync(`${dir}/shards/${file}`, encodeSafetensors(new Map(half)));
      for (const [name] of half) weightMap[name] = file;
    });
    Deno.removeSync(`${dir}/shards/model.safetensors`);
    Deno.writeTextFileSync(
      `${dir}/shards/model.safetensors.index.json`,
      JSON.stringify({ weight_map: weightMap }),
    );
    const identity = async (path: string) => {
      using source = openModelSource(path);
      return await modelIdentity(source);
    };
    const one = await identity(`${dir}/one`);
    assert.match(one, /^[0-9a-f]{64}$/);
    assert.equal(await identity(`${dir}/shards`), one);
    writeTinyFolder(`${dir}/theta`, "llama", { ...config, rope_theta: 20_000 }, weights);
    assert.notEqual(await identity(`${dir}/theta`), one);
    const norm = weights.get("model.norm.weight")!.data as Float32Array;
    norm[63] = norm[63]! + 1;
    writeTinyFolder(`${dir}/changed`, "llama", config, weights);
    assert.notEqual(await identity(`${dir}/changed`), one);
  }));

Deno.test("tensors that do not fit the configuration are refused by name", () =>
  withTempDir((dir) => {
    const config = tinyConfig("llama");
    const openWith = (
      change: (weights: Map<string, TensorData>) => void,
      changed = config,
    ) => {
      const weights = tinyWeights(config);
      change(weights);
      writeTinyFolder(dir, "llama", changed, weights);
      openModelSource(dir)[Symbol.dispose]();
    };
    const q = "model.layers.0.self_attn.q_proj.weight";
    const bytes = (dtype: "U8" | "I32", shape: number[], length: number): TensorData => ({
      dtype,
      shape,
      data: new Uint8Array(length),
    });
    openWith(() => {});
    openWith((w) => w.set("model.layers.0.self_attn.rotary_emb.inv_freq", bytes("U8", [1], 1)));
    openWith(() => {}, { ...config, tie_word_embeddings: true });
    assertRefuses(() => openWith((w) => w.delete(q)), "data", dir, "lacks", q);
    assertRefuses(() => openWith((w) => w.set("extra", bytes("U8", [1], 1))), "data", `"extra"`);
    assertRefuses(
      () => openWith(() => {}, { ...config, vocab_size: 41 }),
      "data",
      "[40, 64]",
      "[41, 64]",
    );
    assertRefuses(
      () => openWith(() => {}, { ...config, num_hidden_layers: 3 }),
      "data",
      "layers.2",
    );
    assertRefuses(
      () => openWith(() => {}, { ...config, num_hidden_layers: 4096 }),
      "data",
      `${dir}/model.safetensors lacks most of the 4096 layers`,
      "21 tensors",
    );
    assertRefuses(
      () => openWith((w) => w.set(q, bytes("I32", [128, 64], 128 * 64 * 4))),
      "data",
      q,
      "I32",
      "BF16",
    );
  }));

Deno.test("what is no model is refused by path", () =>
  withTempDir((dir) => {
    assertRefuses(() => openModelSource(`${dir}/none`), "data", `${dir}/none`, "does not exist");
    for (const remote of ["org/name-1B", "hf://org/name", "https://host/a.gguf"]) {
      assertRefuses(
        () => openModelSource(remote),
        "data",
        "does not exist",
        "is named as org/name",
      );
    }
    Deno.writeTextFileSync(`${dir}/model.bin`, "");
    assertRefuses(
      () => openModelSource(`${dir}/model.bin`),
      "data",
      "neither a folder nor a .gguf",
    );
    assertRefuses(() => openModelSource(dir), "data", dir, "is a folder without config.json");
    Deno.writeTextFileSync(`${dir}/run.lock`, "");
    assertRefuses(() => openModelSource(dir), "data", dir, "is a run folder");
    Deno.removeSync(`${dir}/run.lock`);
    writeTinyFolder(`${dir}/m`, "llama");
    assertRefuses(() => openModelSource(dir), "data", "did you mean", `${dir}/m`);
    Deno.copyFileSync(`${dir}/m/config.json`, `${dir}/config.json`);
    Deno.writeFileSync(`${dir}/a.gguf`, tinyGguf("llama"));
    assertRefuses(() => openModelSource(dir), "data", "model.safetensors", `${dir}/a.gguf`);
    Deno.removeSync(`${dir}/config.json`);
    using source = openWithoutWeights(`${dir}/m`);
    assert.equal(source.tensors.get("lm_head.weight")?.byteLength, 40 * 64 * 4);
    assertRefuses(() => source.read("lm_head.weight", 0, 4), "internal", "without weights");
    using file = openWithoutWeights(`${dir}/a.gguf`);
    assert.deepEqual(file.config, source.config);
    assert.deepEqual(file.tensors, source.tensors);
    assert.equal(file.huggingFaceConfig().model_type, "llama");
    assertRefuses(() => openWithoutWeights(`${dir}/none.gguf`), "data", "none.gguf");
  }));

Deno.test("a model can be planned before its weights are there, in the type of its config.json", () =>
  withTempDir((dir) => {
    writeTinyFolder(dir, "llama");
    const weights = Deno.readFileSync(`${dir}/model.safetensors`);
    const json = JSON.parse(Deno.readTextFileSync(`${dir}/config.json`));
    const planned = (dtype?: string) => {
      writeType(dir, json, dtype);
      using source = openModelToPlan(dir).source;
      return ["lm_head.weight", "model.norm.weight"].map((name) =>
        source.tensors.get(name)!.format
      );
    };
    using there = openModelToPlan(dir).source;
    assert.ok(there.read("lm_head.weight", 0, 4).length === 4);
    Deno.removeSync(`${dir}/model.safetensors`);
    assert.deepEqual(planned("bfloat16"), ["bf16", "f32"]);
    assert.deepEqual(planned("float16"), ["f16", "f32"]);
    assert.deepEqual(planned(), ["f32", "f32"]);
    assertRefuses(() => planned("int8"), "data", "torch_dtype", '"int8"', "bfloat16");
    const { assumption } = openModelToPlan(writeType(dir, json, "bfloat16"));
    assert.equal(
      assumption,
      `${dir} has no weights yet; they are planned as bf16, by its config.json`,
    );
    // What is there but cannot be read is no reason to plan without it.
    Deno.writeFileSync(`${dir}/pytorch_model.bin`, weights);
    assertRefuses(() => openModelToPlan(dir), "data", ".bin files are pickles");
  }));

function writeType(folder: string, json: Record<string, unknown>, torch_dtype?: string): string {
  Deno.writeTextFileSync(`${folder}/config.json`, JSON.stringify({ ...json, torch_dtype }));
  return folder;
}

Deno.test("a folder of bitsandbytes whose weights are yet to come is planned as it will be", () =>
  withTempDir((dir) => {
    Deno.copyFileSync(`${BITSANDBYTES}/config.json`, `${dir}/config.json`);
    using whole = openModelSource(BITSANDBYTES);
    const { source, assumption } = openModelToPlan(dir);
    const matrices = ({ tensors }: typeof source) =>
      new Map([...tensors].filter(([, { shape }]) => shape.length === 2).sort());
    assert.deepEqual(matrices(source), matrices(whole));
    assert.match(assumption ?? "", /planned as nf4 and \w+, by its config\.json/);

    const json = JSON.parse(Deno.readTextFileSync(`${dir}/config.json`));
    json.quantization_config.llm_int8_skip_modules = ["model.layers.0.self_attn", "up_proj"];
    Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify(json));
    const quantised = [...openModelToPlan(dir).source.tensors]
      .filter(([, { format }]) => format === "nf4").map(([name]) => name);
    assert.ok(quantised.includes("model.layers.0.mlp.down_proj.weight"), `${quantised}`);
    assert.ok(!quantised.some((name) => /self_attn|up_proj/.test(name)), `${quantised}`);
  }));

Deno.test("a folder that cannot be listed is named, not thrown as it comes", () =>
  withTempDir((dir) => {
    assertRefuses(() => lacksWeights(`${dir}/gone`), "data", `${dir}/gone`);
  }));
