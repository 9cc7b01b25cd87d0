/** Small models with random weights, as Hugging Face folders and as GGUF files. */
import type { ModelConfig } from "../../src/engine/protocol.gen.ts";
import { encodeSafetensors, type TensorData } from "./encode_safetensors.ts";
import { ARCHITECTURES, toHuggingFaceConfig } from "../../src/model/architectures/mod.ts";
import { isNorm } from "../../src/model/gguf_norms.ts";
import { huggingFaceName, type OwnNames } from "../../src/model/gguf_names.ts";
import type { Stack } from "../../src/model/stacks.ts";
import { expectedShapes } from "../../src/model/tensors.ts";
import { buildGguf, type GgufField } from "./gguf_builder.ts";

const ROTATED = { rope: { rope_theta: 10_000, rope_scaling: null }, sliding_window: null };

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
const GEMMA3: Partial<ModelConfig> = {
  ...FOUR_NORMS,
  qk_norm: true,
  num_hidden_layers: 6,
  rope_theta: 500_000,
  layers: [8, 8, 8, 8, 8, null].map((sliding_window) => ({
    rope: { rope_theta: sliding_window === null ? 500_000 : 20_000, rope_scaling: null },
    sliding_window,
  })),
};

/** What architectures have beside or instead of what every one can have. */
const OWN: Readonly<Record<string, Partial<ModelConfig>>> = {
  qwen2: { attention_bias: true },
  qwen3: { qk_norm: true },
  granite: {
    embedding_multiplier: 12,
    attention_multiplier: 0.125,
    residual_multiplier: 0.25,
    logits_scaling: 8,
  },
  olmo2: { qk_norm: true, qk_norm_span: "row", norm_placement: "post" },
  smollm3: {
    num_hidden_layers: 4,
    layers: [ROTATED, ROTATED, ROTATED, { rope: null, sliding_window: null }],
  },
  gemma: { ...GEMMA, tie_word_embeddings: true },
  gemma2: {
    ...FOUR_NORMS,
    tie_word_embeddings: true,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    layers: [{ ...ROTATED, sliding_window: 8 }, ROTATED],
  },
  gemma3_text: GEMMA3,
  gemma3: GEMMA3,
};

/** A small configuration of an architecture. */
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
    attention_bias: false,
    qk_norm: false,
    sliding_window: null,
    ...OWN[modelType],
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
      const uniform = seed / 2 ** 32 - 0.5;
      // Exact when one is added, as GGUF files store it.
      return config.norm_unit_offset && isNorm(name) ? Math.round(1024 * uniform) / 1024 : uniform;
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
  const isPart = architecture?.tensorName !== undefined;
  const { bos_token_id, eos_token_id } = json;
  const written = isPart
    ? { model_type: modelType, text_config: json, bos_token_id, eos_token_id }
    : json;
  Deno.writeTextFileSync(`${folder}/config.json`, JSON.stringify(written));
  const alone = stackWeights(weights, architecture?.stacks?.(config) ?? []);
  const stored = isPart ? amongOthers(alone) : alone;
  Deno.writeFileSync(`${folder}/model.safetensors`, encodeSafetensors(stored));
}

/** The same tensors as the text's part of a model that sees. */
function amongOthers(weights: ReadonlyMap<string, TensorData>): Map<string, TensorData> {
  const named = [...weights].map(([name, tensor]) => [`language_model.${name}`, tensor] as const);
  const other = { dtype: "F32", shape: [1], data: Float32Array.of(1) } as const;
  return new Map<string, TensorData>([...named, ["vision_tower.embeddings.weight", other]]);
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
    ...(config.sliding_window === null
      ? []
      : [[`${name}.attention.sliding_window`, u32(config.sliding_window)] as [string, GgufField]]),
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
  const names = ggufNames(config.num_hidden_layers, gguf.names);
  const stored = stackWeights(weights, gguf.stacks?.(config) ?? []);
  const tensors = [...stored].map(([name, { shape, data }]) => {
    const hasOne = gguf.addsOneToNorms === true && isNorm(name);
    const written = hasOne ? (data as Float32Array).map((weight) => weight + 1) : data;
    const bytes = new Uint8Array(written.buffer.slice(0) as ArrayBuffer);
    const isRotary = gguf.interleavesHeads && /[qk]_proj/.test(name);
    return {
      name: names.get(name)!,
      dimensions: [...shape].reverse(),
      type: shape.length === 2 ? matrixType : 0,
      data: isRotary ? interleaveRows(bytes, shape[0]!, config.head_dim) : bytes,
    };
  });
  const own = Object.entries(gguf.metadata?.(config) ?? {}).map(([key, field]) =>
    [`${gguf.name}.${key}`, field] as [string, GgufField]
  );
  return buildGguf({ metadata: [...tinyMetadata(gguf.name, config), ...own], tensors });
}

/** GGUF names by Hugging Face name. */
export function ggufNames(layers: number, own: OwnNames = {}): Map<string, string> {
  const parts =
    "attn_norm attn_q attn_k attn_v attn_qkv attn_q_norm attn_k_norm attn_output ffn_norm " +
    "ffn_gate ffn_up ffn_down";
  const names = ["token_embd.weight", "output_norm.weight", "output.weight"];
  for (let layer = 0; layer < layers; layer++) {
    for (const part of [...parts.split(" "), ...Object.keys(own)]) {
      names.push(`blk.${layer}.${part}.weight`, `blk.${layer}.${part}.bias`);
    }
  }
  return new Map(names.flatMap((name) => {
    const found = huggingFaceName(name, own);
    return found === null ? [] : [[found, name]];
  }));
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
