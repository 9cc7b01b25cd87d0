/** Small models with random weights, as Hugging Face folders and as GGUF files. */
import type { ModelConfig } from "../../src/engine/protocol.gen.ts";
import { encodeSafetensors, type TensorData } from "./encode_safetensors.ts";
import { ARCHITECTURES, toHuggingFaceConfig } from "../../src/model/architectures/mod.ts";
import { huggingFaceName } from "../../src/model/gguf_names.ts";
import type { Stack } from "../../src/model/stacks.ts";
import { expectedShapes } from "../../src/model/tensors.ts";
import { buildGguf, type GgufField } from "./gguf_builder.ts";

/** A configuration that every architecture can have. */
export function tinyConfig(modelType: string): ModelConfig {
  return {
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 32,
    vocab_size: 40,
    max_position_embeddings: 128,
    rms_norm_eps: 0.5 ** 16,
    rope_theta: 10_000,
    rope_scaling: null,
    tie_word_embeddings: false,
    attention_bias: modelType === "qwen2",
    qk_norm: modelType === "qwen3",
    sliding_window: null,
  };
}

/** F32 values for every tensor of a configuration. */
export function tinyWeights(config: ModelConfig): Map<string, TensorData> {
  let seed = 1;
  const tensors = new Map<string, TensorData>();
  for (const [name, shape] of expectedShapes(config)) {
    const length = shape.reduce((product, size) => product * size, 1);
    const data = Float32Array.from({ length }, () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed / 2 ** 32 - 0.5;
    });
    tensors.set(name, { dtype: "F32", shape, data });
  }
  return tensors;
}

/** Writes config.json and model.safetensors. */
export function writeTinyFolder(
  folder: string,
  modelType: string,
  config = tinyConfig(modelType),
  weights = tinyWeights(config),
): void {
  Deno.mkdirSync(folder, { recursive: true });
  const architecture = ARCHITECTURES.find((one) => one.modelType === modelType);
  const json = toHuggingFaceConfig(modelType, config, { bos: 1, eos: [2] });
  if (architecture?.writtenAs !== undefined) json.model_type = modelType;
  Deno.writeTextFileSync(`${folder}/config.json`, JSON.stringify(json));
  const stored = stackWeights(weights, architecture?.stacks?.(config) ?? []);
  Deno.writeFileSync(`${folder}/model.safetensors`, encodeSafetensors(stored));
}

/** The same tensors with those that an architecture stacks joined. */
function stackWeights(
  weights: ReadonlyMap<string, TensorData>,
  stacks: readonly Stack[],
): Map<string, TensorData> {
  const joined = new Map(weights);
  for (const first of weights.keys()) {
    for (const { name, parts } of stacks) {
      const [layer, rest] = first.split(`${parts[0]![0]}.weight`);
      if (rest !== "") continue;
      const names = parts.map(([part]) => `${layer}${part}.weight`);
      const arrays = names.map((part) => weights.get(part)!.data as Float32Array);
      const data = Float32Array.from(arrays.flatMap((array) => [...array]));
      const rows = parts.reduce((sum, [, rows]) => sum + rows, 0);
      for (const part of names) joined.delete(part);
      joined.set(`${layer}${name}.weight`, {
        dtype: "F32",
        shape: [rows, data.length / rows],
        data,
      });
    }
  }
  return joined;
}

/** The metadata of a GGUF file of such a model. */
export function tinyMetadata(name: string, config: ModelConfig): [string, GgufField][] {
  const u32 = (value: number): GgufField => ({ type: "u32", value });
  const f32 = (value: number): GgufField => ({ type: "f32", value });
  return [
    ["general.architecture", { type: "string", value: name }],
    [`${name}.embedding_length`, u32(config.hidden_size)],
    [`${name}.feed_forward_length`, u32(config.intermediate_size)],
    [`${name}.block_count`, u32(config.num_hidden_layers)],
    [`${name}.attention.head_count`, u32(config.num_attention_heads)],
    [`${name}.attention.head_count_kv`, u32(config.num_key_value_heads)],
    [`${name}.attention.key_length`, u32(config.head_dim)],
    [`${name}.attention.value_length`, u32(config.head_dim)],
    [`${name}.vocab_size`, u32(config.vocab_size)],
    [`${name}.context_length`, u32(config.max_position_embeddings)],
    [`${name}.attention.layer_norm_rms_epsilon`, f32(config.rms_norm_eps)],
    [`${name}.rope.freq_base`, f32(config.rope_theta)],
    ["tokenizer.ggml.bos_token_id", u32(1)],
    ["tokenizer.ggml.eos_token_id", u32(2)],
  ];
}

/**
 * The bytes of a GGUF file with the same weights, rows interleaved where the architecture does so.
 *
 * @param matrixType The number of the ggml type that the matrices are stored as; vectors are F32.
 */
export function tinyGguf(
  modelType: string,
  config = tinyConfig(modelType),
  weights = tinyWeights(config),
  matrixType = 0,
): Uint8Array {
  const gguf = ARCHITECTURES.find((architecture) => architecture.modelType === modelType)?.gguf;
  if (gguf === undefined) throw new Error(`There is no architecture ${modelType}`);
  const names = ggufNames(config.num_hidden_layers);
  const stored = stackWeights(weights, gguf.stacks?.(config) ?? []);
  const tensors = [...stored].map(([name, { shape, data }]) => {
    const bytes = new Uint8Array(data.buffer.slice(0) as ArrayBuffer);
    const isRotary = gguf.interleavesHeads && /[qk]_proj/.test(name);
    return {
      name: names.get(name)!,
      dimensions: [...shape].reverse(),
      type: shape.length === 2 ? matrixType : 0,
      data: isRotary ? interleaveRows(bytes, shape[0]!, config.head_dim) : bytes,
    };
  });
  return buildGguf({ metadata: tinyMetadata(gguf.name, config), tensors });
}

/** GGUF names by Hugging Face name. */
export function ggufNames(layers: number): Map<string, string> {
  const parts =
    "attn_norm attn_q attn_k attn_v attn_qkv attn_q_norm attn_k_norm attn_output ffn_norm " +
    "ffn_gate ffn_up ffn_down";
  const names = ["token_embd.weight", "output_norm.weight", "output.weight"];
  for (let layer = 0; layer < layers; layer++) {
    for (const part of parts.split(" ")) {
      names.push(`blk.${layer}.${part}.weight`, `blk.${layer}.${part}.bias`);
    }
  }
  return new Map(names.map((name) => [huggingFaceName(name)!, name]));
}

/** As llama.cpp's converter does: reshape(heads, 2, half, in), swap the middle axes. */
export function interleaveRows(bytes: Uint8Array, rows: number, headDim: number): Uint8Array {
  const rowBytes = bytes.length / rows;
  const result = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    const head = Math.floor(row / headDim) * headDim;
    const half = Math.floor((row - head) / (headDim / 2));
    const inHalf = (row - head) % (headDim / 2);
    const to = (head + 2 * inHalf + half) * rowBytes;
    result.set(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), to);
  }
  return result;
}
