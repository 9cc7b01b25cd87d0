/** Models whose matrices, embedding and head included, are stored as one GGUF type each. */

import assert from "node:assert/strict";
import type { Engine } from "../../src/engine/engine.ts";
import type { FormatInfo, ModelConfig, WeightFormat } from "../../src/engine/protocol.gen.ts";
import { GGML_TYPES } from "../../src/io/ggml_types.ts";
import { inferenceUse, loadModel } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import { largestDifference } from "../support/check.ts";
import type { TensorData } from "../support/encode_safetensors.ts";
import { engineTest, gpuDevices, HOSTED_DEVICES } from "../support/hosts.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { tinyConfig, tinyGguf, tinyWeights } from "../support/tiny_model.ts";

/** Rows are whole blocks of every type. */
const CONFIG: ModelConfig = {
  ...tinyConfig("llama"),
  hidden_size: 256,
  intermediate_size: 512,
  head_dim: 64,
};

/** Of losses: the same weights, multiplied as they are stored or decoded first. */
const BOUND = 1e-5;

engineTest(
  "GGUF types: a model of each gives the losses of its decoded weights",
  async (engine) => {
    const types = new Map(
      [...GGML_TYPES].map(([number, { name }]) => [name.toLowerCase(), number]),
    );
    const formats = engine.info.formats.filter(({ format }) => types.has(format));
    assert.equal(formats.length, engine.info.formats.length - 1, "NF4 alone has no GGUF type");
    for (const info of formats) {
      const { stored, decoded } = await encodeMatrices(engine, info);
      const type = types.get(info.format)!;
      const found = await lossesOf(engine, tinyGguf("llama", CONFIG, stored, type), info.format);
      const expected = await lossesOf(engine, tinyGguf("llama", CONFIG, decoded), "f32");
      const difference = largestDifference(found, expected);
      assert.ok(difference <= BOUND, `${info.format} differs by ${difference}`);
    }
  },
  [...HOSTED_DEVICES, ...await gpuDevices()],
);

/** The model's tensors with matrices as stored, and decoded again. */
async function encodeMatrices(engine: Engine, { format }: FormatInfo) {
  const stored = new Map<string, TensorData>();
  const decoded = new Map<string, TensorData>();
  for (const [name, tensor] of tinyWeights(CONFIG)) {
    const bytes = new Uint8Array(tensor.data.buffer);
    const to = tensor.shape.length === 2 ? format : "f32";
    const packed = await engine.convert(bytes, "f32", to, bytes.length / 4);
    const floats = await engine.convert(packed, to, "f32", bytes.length / 4);
    stored.set(name, { ...tensor, data: packed.slice() });
    decoded.set(name, { ...tensor, data: floats.slice() });
  }
  return { stored, decoded };
}

/** Losses over a few tokens at once and over one, of a file whose matrices have the format. */
function lossesOf(engine: Engine, file: Uint8Array, format: WeightFormat): Promise<number[]> {
  return withTempDir(async (dir) => {
    const path = `${dir}/model.gguf`;
    Deno.writeFileSync(path, file);
    using source = openModelSource(path);
    const plan = await loadModel(engine, source, inferenceUse(32));
    for (const tensor of plan.tensors) {
      const expected = tensor.shape.length === 2 ? format : "f32";
      assert.equal(tensor.format, expected, tensor.name);
    }
    const losses = [];
    for (const count of [1, 5, 20]) {
      const tokens = Uint32Array.from({ length: count }, (_, i) => i * 7 % CONFIG.vocab_size);
      const targets = tokens.map((token) => (token + 3) % CONFIG.vocab_size);
      const cuSeqlens = Uint32Array.of(0, count);
      const { loss } = await engine.forward({ tokens, targets, cuSeqlens });
      losses.push((loss.sum ?? NaN) / count);
    }
    return losses;
  });
}
