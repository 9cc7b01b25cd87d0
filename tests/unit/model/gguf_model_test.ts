/** GGUF models: their order of rows, their keys, and refusals of what cannot be computed. */
import assert from "node:assert/strict";
import { readHuggingFaceConfig } from "../../../src/model/hf_config.ts";
import { modelIdentity, openModelSource } from "../../../src/model/source.ts";
import { buildGguf } from "../../support/gguf_builder.ts";
import { type TensorData } from "../../support/encode_safetensors.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";
import {
  ggufNames,
  interleaveRows,
  tinyConfig,
  tinyMetadata,
  tinyWeights,
} from "../../support/tiny_model.ts";

const GOLDEN = new URL("../../golden/", import.meta.url).pathname;
const bytesOf = ({ data }: TensorData) =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

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
    assertRefuses(() => source.read(name, packed.length - 1, 2), "data", name);
    assertRefuses(() => source.read("x", 0, 1), "data", `"x"`);
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
      ["general.architecture", "mamba", `"mamba"`, "llama, qwen2, qwen3"],
      ["llama.expert_count", 8, "expert_count 8"],
      ["llama.embedding_length", "64", "embedding_length", "whole number"],
      ["llama.attention.value_length", 16, "value_length"],
      ["llama.rope.dimension_count", 16, "rope.dimension_count is 16"],
      ["llama.rope.scaling.type", "yarn", "yarn"],
      ["llama.block_count", 8_388_610, "block_count is 8388610", "1 to 4096"],
      ["llama.context_length", 128, "lacks most of the 2 layers", "0 tensors"],
    ];
    for (const [key, value, ...fragments] of refused) {
      assertRefuses(withField(key, value), "data", path, ...fragments);
    }
    const IQ4_XS = 23;
    const weights = { name: "token_embd.weight", dimensions: [256, 40], type: IQ4_XS };
    const wide = { ...config, hidden_size: 256 };
    const tensors = [...tinyWeights(wide)].map(([name, tensor]) => ({
      name: ggufNames(2).get(name)!,
      dimensions: [...tensor.shape].reverse(),
      type: 0,
      data: bytesOf(tensor),
    }));
    tensors[0] = { ...weights, data: new Uint8Array(40 * 136) };
    Deno.writeFileSync(path, buildGguf({ metadata: tinyMetadata("llama", wide), tensors }));
    assertRefuses(
      () => openModelSource(path),
      "data",
      "model.embed_tokens.weight",
      "IQ4_XS",
      "Q6_K",
    );
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
