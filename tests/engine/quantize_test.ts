/** Bases that are quantised while they are loaded. */

import assert from "node:assert/strict";
import type { Engine } from "../../src/engine/engine.ts";
import type { ModelConfig, WeightFormat } from "../../src/engine/protocol.gen.ts";
import { SafetensorsFile } from "../../src/io/safetensors.ts";
import { inferenceUse, loadModel, planModel, type QuantizedFormat } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import type { TensorData } from "../support/encode_safetensors.ts";
import { engineTest, gpuDevices, HOSTED_DEVICES } from "../support/hosts.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { tinyConfig, tinyGguf, tinyWeights, writeTinyFolder } from "../support/tiny_model.ts";

const GOLDEN = new URL("../golden/quant/quant.safetensors", import.meta.url).pathname;
const KEY = "model.layers.0.self_attn.k_proj.weight";
const VALUE = "model.layers.0.self_attn.v_proj.weight";
/** The type's number in GGUF. */
const Q8_0 = 8;
const EMBEDDING = "model.embed_tokens.weight";

const REFUSED_WEIGHTS: readonly [QuantizedFormat, number, string][] = [
  ["nf4", NaN, "NaN, which Nf4 cannot hold"],
  ["nf4", Infinity, "inf, which Nf4 cannot hold"],
  ["q8_0", -Infinity, "-inf, which Q8_0 cannot hold"],
  ["q4_0", 1e6, "1000000, which Q4_0 cannot hold"],
];

/** `k_proj` has the shape of the matrix that bitsandbytes has quantised twice, [36, 512]. */
const CONFIG: ModelConfig = {
  ...tinyConfig("llama"),
  hidden_size: 512,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 16,
  num_key_value_heads: 1,
  head_dim: 36,
};

engineTest(
  "quantize: layers are held as bitsandbytes and ggml quantise them, the rest as it is",
  (engine) =>
    withTempDir(async (folder) => {
      using golden = SafetensorsFile.open(GOLDEN);
      const source = floats(golden.read("source"));
      const weights = tinyWeights(CONFIG);
      const values = (name: string) => new Float32Array(weights.get(name)!.data.buffer);
      values(KEY).set(floats(golden.read("NF4DQ.source")));
      values(VALUE).set(source);
      writeTinyFolder(folder, "llama", CONFIG, weights);

      const nf4 = await held(engine, folder, "nf4");
      assert.deepEqual(await nf4(KEY), {
        format: "nf4",
        values: floats(golden.read("NF4DQ.dequantized")),
      });
      assert.deepEqual(await nf4(EMBEDDING), { format: "f32", values: values(EMBEDDING) });
      for (const format of ["q8_0", "q4_0"] as const) {
        const quantized = await (await held(engine, folder, format))(VALUE);
        assert.equal(quantized.format, format);
        const expected = floats(golden.read(`${format.toUpperCase()}.dequantized`));
        assert.deepEqual(quantized.values.slice(0, source.length), expected);
      }
    }),
  [...HOSTED_DEVICES, ...await gpuDevices()],
);

engineTest(
  "quantize: a weight that blocks cannot hold is refused by its tensor",
  (engine) =>
    withTempDir(async (folder) => {
      for (const [format, weight, words] of REFUSED_WEIGHTS) {
        const weights = tinyWeights(CONFIG);
        new Float32Array(weights.get(KEY)!.data.buffer)[700] = weight;
        writeTinyFolder(folder, "llama", CONFIG, weights);
        using source = openModelSource(folder);
        const use = { ...inferenceUse(8), quantize: format };
        await assert.rejects(() => loadModel(engine, source, use), {
          kind: "data",
          message: `${folder}: tensor "${KEY}": A weight is ${words}`,
        });
      }
    }),
);

engineTest(
  "quantize: rows that are not whole blocks are refused before anything is read",
  (engine) =>
    withTempDir(async (folder) => {
      writeTinyFolder(folder, "llama", { ...CONFIG, intermediate_size: 96 });
      using source = openModelSource(folder);
      await assert.rejects(
        () => planModel(engine, source, { ...inferenceUse(8), quantize: "nf4" }),
        {
          kind: "usage",
          message: "--quantize nf4 needs rows of a multiple of 64 weights; " +
            '"model.layers.0.mlp.down_proj.weight" has rows of 96, which --quantize q8_0 takes',
        },
      );
      const { plan } = await planModel(engine, source, { ...inferenceUse(8), quantize: "q4_0" });
      assert.equal(plan.tensors.filter(({ format }) => format === "q4_0").length, 7);
    }),
);

engineTest(
  "quantize: a base that is quantised already is refused",
  (engine) =>
    withTempDir(async (folder) => {
      const weights = new Map<string, TensorData>();
      for (const [name, tensor] of tinyWeights(CONFIG)) {
        const bytes = new Uint8Array(tensor.data.buffer);
        const to = tensor.shape.length === 2 ? "q8_0" : "f32";
        const data = await engine.convert(bytes, "f32", to, bytes.length / 4);
        weights.set(name, { ...tensor, data: data.slice() });
      }
      const path = `${folder}/model.gguf`;
      Deno.writeFileSync(path, tinyGguf("llama", CONFIG, weights, Q8_0));
      using source = openModelSource(path);
      await assert.rejects(
        () => planModel(engine, source, { ...inferenceUse(8), quantize: "nf4" }),
        {
          kind: "usage",
          message:
            "--quantize nf4 is for layers in 16 or 32 bits; those of this model are q8_0 already",
        },
      );
    }),
);

/** Loads the model quantised; what it returns reads a matrix back. */
async function held(engine: Engine, folder: string, quantize: QuantizedFormat) {
  using source = openModelSource(folder);
  const plan = await loadModel(engine, source, { ...inferenceUse(8), quantize });
  return async (name: string): Promise<{ format: WeightFormat; values: Float32Array }> => {
    const { format, shape: [rows = 0] } = plan.tensors.find((tensor) => tensor.name === name)!;
    return { format, values: floats(await engine.readTensor(name, 0, rows, "f32", true)) };
  };
}

function floats(bytes: Uint8Array<ArrayBuffer>): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}
