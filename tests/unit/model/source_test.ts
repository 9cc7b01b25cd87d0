/** Model sources: the same model from every kind of file, and refusals of those that are not what they say. */
import assert from "node:assert/strict";
import { encodeSafetensors, type TensorData } from "../../support/encode_safetensors.ts";
import { ARCHITECTURES } from "../../../src/model/architectures/mod.ts";
import { readHuggingFaceConfig } from "../../../src/model/hf_config.ts";
import { modelIdentity, openModelSource, openWithoutWeights } from "../../../src/model/source.ts";
import { buildGguf } from "../../support/gguf_builder.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";
import {
  ggufNames,
  interleaveRows,
  tinyConfig,
  tinyGguf,
  tinyMetadata,
  tinyWeights,
  writeTinyFolder,
} from "../../support/tiny_model.ts";

const GOLDEN = new URL("../../golden/", import.meta.url).pathname;
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
      if (gguf === null) continue;
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
      assert.equal(await modelIdentity(file), await modelIdentity(folder), modelType);
      const again = `${dir}/${modelType}.json`;
      Deno.writeTextFileSync(again, JSON.stringify(file.huggingFaceConfig()));
      assert.deepEqual(readHuggingFaceConfig(again).config, config);
    }
  }));

Deno.test("interleaved rows are put in order for every range and packed format", () =>
  withTempDir((dir) => {
    const config = tinyConfig("llama");
    const weights = tinyWeights(config);
    const Q4_0 = 2;
    const name = "model.layers.1.self_attn.k_proj.weight";
    const [rows, columns] = [64, 64];
    const rowBytes = columns / 32 * 18;
    const packed = new Uint8Array(rows * rowBytes).map((_, i) => (i * 7 + (i >> 8)) & 255);
    const tensors = [...weights].map(([hf, tensor]) => ({ hf, bytes: bytesOf(tensor), tensor }));
    const names = ggufNames(config.num_hidden_layers);
    const file = buildGguf({
      metadata: tinyMetadata("llama", config),
      tensors: tensors.map(({ hf, bytes, tensor }) => ({
        name: names.get(hf)!,
        dimensions: [...tensor.shape].reverse(),
        type: hf === name ? Q4_0 : 0,
        data: hf === name ? interleaveRows(packed, rows, config.head_dim) : bytes,
      })),
    });
    Deno.writeFileSync(`${dir}/a.gguf`, file);
    using source = openModelSource(`${dir}/a.gguf`);
    assert.equal(source.tensors.get(name)?.format, "q4_0");
    for (let offset = 0; offset < packed.length; offset += 37) {
      for (const length of [0, 1, 18, rowBytes, 5 * rowBytes + 3, packed.length - offset]) {
        const end = Math.min(packed.length, offset + length);
        assert.deepEqual(
          source.read(name, offset, end - offset),
          packed.slice(offset, end),
          `${offset}+${length}`,
        );
      }
    }
    assertRefuses(() => source.read(name, packed.length - 1, 2), "data", "attn_k");
    assertRefuses(() => source.read("x", 0, 1), "data", `"x"`);
  }));

Deno.test("both spellings of config.json give the same configuration", () => {
  for (const name of ["tiny_llama", "tiny_llama_tied_rope3"]) {
    const [v5, v4] = ["config.json", "config.v4.json"].map((file) =>
      readHuggingFaceConfig(`${GOLDEN}${name}/${file}`)
    );
    assert.deepEqual(v5!.config, v4!.config);
    using source = openModelSource(`${GOLDEN}${name}`);
    assert.equal(
      source.config.rope_scaling?.rope_type,
      name.includes("rope3") ? "llama3" : undefined,
    );
  }
});

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
      () => openWith((w) => w.set(q, bytes("I32", [128, 64], 128 * 64 * 4))),
      "data",
      q,
      "I32",
      "BF16",
    );
  }));

Deno.test("configurations that cannot be computed are refused by field", () =>
  withTempDir((dir) => {
    const cases: [modelType: string, change: Record<string, unknown>, ...fragments: string[]][] = [
      ["llama", { model_type: "mixtral" }, `"mixtral"`, "llama, mistral, qwen2, qwen3"],
      ["llama", { model_type: undefined }, "model_type (missing)"],
      ["llama", { hidden_act: "gelu" }, "hidden_act", "gelu", "silu"],
      ["llama", { attention_bias: true }, "attention_bias true"],
      ["llama", { mlp_bias: true }, "mlp_bias true"],
      ["llama", { hidden_size: "64" }, "hidden_size", `"64"`],
      ["llama", { hidden_size: 0 }, "hidden_size is 0"],
      ["llama", { num_hidden_layers: 1e12 }, "num_hidden_layers"],
      ["llama", { vocab_size: null }, "vocab_size is missing"],
      ["llama", { num_key_value_heads: 3 }, "4 attention heads", "3 key-value heads"],
      ["llama", { head_dim: 15 }, "head width 15 is odd"],
      ["llama", { head_dim: null, hidden_size: 65 }, "head_dim"],
      ["llama", { rms_norm_eps: -1 }, "rms_norm_eps is -1"],
      ["llama", { rope_theta: 0 }, "rope_theta is 0"],
      ["llama", { rope_scaling: { type: "dynamic", factor: 2 } }, "dynamic", "llama3"],
      ["llama", { rope_scaling: { rope_type: "yarn", factor: 2 } }, "yarn"],
      ["llama", { rope_parameters: { rope_type: "longrope" } }, "longrope"],
      ["llama", { rope_scaling: { rope_type: "linear" } }, "factor is missing"],
      ["llama", { rope_scaling: { rope_type: "llama3", factor: 8 } }, "low_freq_factor is missing"],
      ["llama", { rope_scaling: "linear" }, "rope_scaling", "an object"],
      ["llama", { partial_rotary_factor: 0.5 }, "partial_rotary_factor"],
      ["llama", { quantization_config: { quant_method: "gptq" } }, "gptq"],
      ["mistral", { num_key_value_heads: undefined }, "num_key_value_heads is missing"],
      ["mistral", { sliding_window: -1 }, "sliding_window is -1"],
      ["qwen2", { use_sliding_window: true, sliding_window: 8, max_window_layers: 1 }, "only some"],
      [
        "qwen3",
        {
          use_sliding_window: true,
          sliding_window: 8,
          layer_types: ["full_attention", "sliding_attention"],
        },
        "only some",
      ],
      ["qwen3", { attention_bias: true }, "attention_bias true"],
    ];
    for (const [modelType, change, ...fragments] of cases) {
      writeTinyFolder(dir, modelType);
      const path = `${dir}/config.json`;
      const json = JSON.parse(Deno.readTextFileSync(path));
      Deno.writeTextFileSync(path, JSON.stringify({ ...json, ...change }));
      assertRefuses(() => readHuggingFaceConfig(path), "data", path, ...fragments);
    }
    for (const bad of ["", "[]", "{", "null"]) {
      Deno.writeTextFileSync(`${dir}/config.json`, bad);
      assertRefuses(() => openModelSource(dir), "data", `${dir}/config.json`, "JSON");
    }
  }));

Deno.test("sliding windows follow the switches of their architecture", () =>
  withTempDir((dir) => {
    const windowOf = (modelType: string, change: Record<string, unknown>) => {
      writeTinyFolder(dir, modelType);
      const json = JSON.parse(Deno.readTextFileSync(`${dir}/config.json`));
      Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify({ ...json, ...change }));
      return readHuggingFaceConfig(`${dir}/config.json`).config.sliding_window;
    };
    const window = { use_sliding_window: true, sliding_window: 8 };
    assert.equal(windowOf("mistral", { sliding_window: null }), null);
    assert.equal(windowOf("mistral", { sliding_window: 8 }), 8);
    assert.equal(windowOf("mistral", { sliding_window: undefined }), 4096);
    assert.equal(windowOf("llama", { sliding_window: 8 }), null);
    assert.equal(windowOf("qwen2", { ...window, use_sliding_window: false }), null);
    assert.equal(windowOf("qwen2", { ...window, max_window_layers: 0 }), 8);
    assert.equal(windowOf("qwen2", { ...window, max_window_layers: 2 }), null);
    const all = ["sliding_attention", "sliding_attention"];
    assert.equal(windowOf("qwen3", { ...window, layer_types: all }), 8);
  }));

Deno.test("GGUF models that cannot be computed are refused by key", () =>
  withTempDir((dir) => {
    const config = tinyConfig("llama");
    const path = `${dir}/a.gguf`;
    const withField = (key: string, value: number | string) => {
      const field = typeof value === "string"
        ? { type: "string", value } as const
        : { type: "u32", value } as const;
      const metadata = tinyMetadata("llama", config).filter(([name]) => name !== key);
      Deno.writeFileSync(path, buildGguf({ metadata: [...metadata, [key, field]] }));
      return () => openModelSource(path);
    };
    const refused: [key: string, value: number | string, ...fragments: string[]][] = [
      ["general.architecture", "gemma3", `"gemma3"`, "llama, qwen2, qwen3"],
      ["llama.expert_count", 8, "expert_count 8"],
      ["llama.embedding_length", "64", "embedding_length", "whole number"],
      ["llama.attention.value_length", 16, "value_length"],
      ["llama.rope.dimension_count", 16, "rope.dimension_count is 16"],
      ["llama.rope.scaling.type", "yarn", "yarn"],
      ["llama.context_length", 128, "lacks", "model.embed_tokens.weight"],
    ];
    for (const [key, value, ...fragments] of refused) {
      assertRefuses(withField(key, value), "data", path, ...fragments);
    }
    const Q4_K = 12;
    const weights = { name: "token_embd.weight", dimensions: [256, 40], type: Q4_K };
    const wide = { ...config, hidden_size: 256 };
    const tensors = [...tinyWeights(wide)].map(([name, tensor]) => ({
      name: ggufNames(2).get(name)!,
      dimensions: [...tensor.shape].reverse(),
      type: 0,
      data: bytesOf(tensor),
    }));
    tensors[0] = { ...weights, data: new Uint8Array(40 * 144) };
    Deno.writeFileSync(path, buildGguf({ metadata: tinyMetadata("llama", wide), tensors }));
    assertRefuses(() => openModelSource(path), "data", "model.embed_tokens.weight", "Q4_K", "Q8_0");
  }));

Deno.test("the llama3 scaling of a GGUF file is found from its divisors, any other is refused", () =>
  withTempDir((dir) => {
    const config = { ...tinyConfig("llama"), rope_theta: 500_000 };
    const path = `${dir}/a.gguf`;
    const openWith = (divisors: number[]) => {
      const metadata = tinyMetadata("llama", config);
      const data = new Uint8Array(Float32Array.from(divisors).buffer);
      const tensors = [{ name: "rope_freqs.weight", dimensions: [divisors.length], type: 0, data }];
      Deno.writeFileSync(path, buildGguf({ metadata, tensors }));
      return openModelSource(path);
    };
    const divisors = Array.from({ length: 16 }, (_, i) => {
      const wavelength = 2 * Math.PI * 500_000 ** (i / 16);
      if (wavelength < 8192 / 4) return 1;
      if (wavelength > 8192) return 32;
      const smooth = (8192 / wavelength - 1) / 3;
      return 1 / ((1 - smooth) / 32 + smooth);
    });
    // The scaling is accepted, and then the rest of the model is found missing.
    assertRefuses(() => openWith(divisors), "data", "lacks");
    assertRefuses(() => openWith(divisors.with(3, 2)), "data", "rope_freqs.weight", "holds 2 at 3");
    assertRefuses(() => openWith(divisors.slice(1)), "data", "not 16 F32 values");
  }));

Deno.test("what is no model is refused by path", () =>
  withTempDir((dir) => {
    assertRefuses(() => openModelSource(`${dir}/none`), "data", `${dir}/none`, "does not exist");
    assertRefuses(() => openModelSource("org/name-1B"), "data", "does not exist", "not downloaded");
    Deno.writeTextFileSync(`${dir}/model.bin`, "");
    assertRefuses(
      () => openModelSource(`${dir}/model.bin`),
      "data",
      "neither a folder nor a .gguf",
    );
    assertRefuses(() => openModelSource(dir), "data", "config.json", "does not exist");
    writeTinyFolder(`${dir}/m`, "llama");
    using source = openWithoutWeights(`${dir}/m`);
    assert.equal(source.tensors.get("lm_head.weight")?.byteLength, 40 * 64 * 4);
    assertRefuses(() => source.read("lm_head.weight", 0, 4), "internal", "without weights");
  }));

Deno.test({
  name: "a real GGUF file is read whole",
  ignore: !Deno.env.get("SPIEL_MODELS"),
  async fn() {
    const folder = Deno.env.get("SPIEL_MODELS");
    using source = openModelSource(`${folder}/SmolLM2-135M-Instruct.Q4_1.gguf`);
    assert.equal(source.tensors.size, 272);
    assert.equal(source.config.tie_word_embeddings, true);
    assert.equal(source.tensors.get("model.embed_tokens.weight")?.format, "q8_0");
    const golden = readHuggingFaceConfig(`${GOLDEN}smollm2/config.json`);
    assert.deepEqual(source.config, golden.config);
    assert.match(await modelIdentity(source), /^[0-9a-f]{64}$/);
  },
});
