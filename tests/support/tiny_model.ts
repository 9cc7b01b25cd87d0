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
    ...OF_ARCHITECTURE[modelType],
  };
}

const GEMMA: Partial<ModelConfig> = {
  hidden_act: "gelu_pytorch_tanh",
  norm_unit_offset: true,
  embedding_multiplier: 8,
};
const FOUR_NORMS: Partial<ModelConfig> = {
  ...GEMMA,
  norm_placement: "both",
  attention_multiplier: 1 / Math.sqrt(32),
  sliding_window: 8,
};
const PLAIN_ROPE = { rope_theta: 10_000, rope_scaling: null };

/** What the models of an architecture have and others have not. */
const OF_ARCHITECTURE: Readonly<Record<string, Partial<ModelConfig>>> = {
  gemma: GEMMA,
  gemma2: {
    ...FOUR_NORMS,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    layers: [8, null].map((sliding_window) => ({ rope: PLAIN_ROPE, sliding_window })),
  },
  gemma3_text: {
    ...FOUR_NORMS,
    qk_norm: true,
    num_hidden_layers: 6,
    rope_theta: 500_000,
    layers: [8, 8, 8, 8, 8, null].map((sliding_window) => ({
      rope: sliding_window === null ? { ...PLAIN_ROPE, rope_theta: 500_000 } : PLAIN_ROPE,
      sliding_window,
    })),
  },
};

/** F32 values for every tensor of a configuration. */
export function tinyWeights(config: ModelConfig): Map<string, TensorData> {
  let seed = 1;
  const tensors = new Map<string, TensorData>();
  for (const [name, shape] of expectedShapes(config)) {
    const length = shape.reduce((product, size) => product * size, 1);
    const data = Float32Array.from({ length }, () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const uniform = seed / 2 ** 32 - 0.5;
      // Exact when one is added, as GGUF files store it.
      return isOffset(name, config) ? Math.round(1024 * uniform) / 1024 : uniform;
    });
    tensors.set(name, { dtype: "F32", shape, data });
  }
  return tensors;
}

function isOffset(name: string, { norm_unit_offset }: ModelConfig): boolean {
  return norm_unit_offset === true && name.endsWith("norm.weight");
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
  const optionalF32 = (value?: number) => value === undefined ? null : f32(value);
  const optional: [key: string, value: GgufField | null][] = [
    [
      "attention.sliding_window",
      config.sliding_window === null ? null : u32(config.sliding_window),
    ],
    ["attn_logit_softcapping", optionalF32(config.attn_logit_softcapping)],
    ["final_logit_softcapping", optionalF32(config.final_logit_softcapping)],
  ];
  return [
    ["general.architecture", { type: "string", value: name }],
    ...optional.flatMap(([key, value]): [string, GgufField][] =>
      value === null ? [] : [[`${name}.${key}`, value]]
    ),
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
  if (!gguf) throw new Error(`${modelType} has no GGUF form`);
  const names = ggufNames(config.num_hidden_layers, gguf.layerNames);
  const stored = stackWeights(weights, gguf.stacks?.(config) ?? []);
  const tensors = [...stored].map(([name, { shape, data }]) => {
    const isStoredWithOne = gguf.addsOneToNorms === true && name.endsWith("norm.weight");
    const written = isStoredWithOne ? (data as Float32Array).map((weight) => weight + 1) : data;
    const bytes = new Uint8Array(written.buffer.slice(0) as ArrayBuffer);
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
export function ggufNames(
  layers: number,
  layerNames: Readonly<Record<string, string>> = {},
): Map<string, string> {
  const parts = Object.keys(layerNames).join(" ") +
    " attn_norm attn_q attn_k attn_v attn_qkv attn_q_norm attn_k_norm attn_output ffn_norm " +
    "ffn_gate ffn_up ffn_down";
  const names = ["token_embd.weight", "output_norm.weight", "output.weight"];
  for (let layer = 0; layer < layers; layer++) {
    for (const part of new Set(parts.trim().split(" "))) {
      names.push(`blk.${layer}.${part}.weight`, `blk.${layer}.${part}.bias`);
    }
  }
  return new Map(names.map((name) => [huggingFaceName(name, layerNames)!, name]));
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
