/** Small models with random weights over every flag of the configuration, and random packed micro-batches. */

import type { Engine } from "../../src/engine/engine.ts";
import { IGNORE, type ModelConfig, type ModelOptions } from "../../src/engine/protocol.gen.ts";
import { allotDeltas } from "../../src/spiel/budget.ts";
import type { TrainingBatch } from "../../src/train/step.ts";

/** Grouped queries and an explicit head_dim; no size is a multiple of a vector's width. */
export const SMALL_CONFIG: ModelConfig = {
  hidden_size: 28,
  intermediate_size: 50,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 10,
  vocab_size: 41,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 1000,
  rope_scaling: null,
  tie_word_embeddings: false,
  attention_bias: false,
  qk_norm: false,
  sliding_window: null,
};

const LLAMA3 = {
  rope_type: "llama3",
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 32,
} as const;

/** One configuration for each flag, and one with all of them. */
export const FLAG_CONFIGS: Readonly<Record<string, ModelConfig>> = {
  "grouped queries": SMALL_CONFIG,
  "a head for every query": { ...SMALL_CONFIG, num_key_value_heads: 4, head_dim: 7 * 2 },
  "one key head": { ...SMALL_CONFIG, num_key_value_heads: 1 },
  "tied head": { ...SMALL_CONFIG, tie_word_embeddings: true },
  "attention bias": { ...SMALL_CONFIG, attention_bias: true },
  "q and k norm": { ...SMALL_CONFIG, qk_norm: true },
  "sliding window": { ...SMALL_CONFIG, sliding_window: 3 },
  "linear rope": { ...SMALL_CONFIG, rope_scaling: { rope_type: "linear", factor: 2.5 } },
  "llama3 rope": { ...SMALL_CONFIG, rope_scaling: LLAMA3 },
  "norms after": { ...SMALL_CONFIG, norm_placement: "post" },
  "norms before and after": { ...SMALL_CONFIG, norm_placement: "both" },
  "q and k norm of rows": { ...SMALL_CONFIG, qk_norm: true, qk_norm_span: "row" },
  "multipliers": {
    ...SMALL_CONFIG,
    tie_word_embeddings: true,
    embedding_multiplier: 3,
    attention_multiplier: 0.5,
    residual_multiplier: 0.7,
    logits_scaling: 2.5,
  },
  "layers of their own": {
    ...SMALL_CONFIG,
    num_hidden_layers: 3,
    layers: [
      { rope: null, sliding_window: null },
      { rope: { rope_theta: 50, rope_scaling: null }, sliding_window: 3 },
      { rope: { rope_theta: 1000, rope_scaling: LLAMA3 }, sliding_window: null },
    ],
  },
  "every flag": {
    ...SMALL_CONFIG,
    tie_word_embeddings: true,
    attention_bias: true,
    qk_norm: true,
    sliding_window: 4,
    rope_scaling: LLAMA3,
  },
};

/** Every linear layer that may carry deltas. */
export const PROJECTIONS = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj".split(" ");

/** Numbers from 0 to 1, a pure function of the seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // Mulberry32.
    state = (state + 0x6D2B79F5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Random sequences laid end to end; about one target in four is not trained, nor is a sequence's last. */
export function randomBatch(
  vocabSize: number,
  lengths: readonly number[],
  seed: number,
): TrainingBatch {
  const random = randomNumbers(seed);
  const cuSeqlens = Uint32Array.from([0, ...lengths]);
  for (let i = 1; i < cuSeqlens.length; i++) cuSeqlens[i]! += cuSeqlens[i - 1]!;
  const ends = new Set(cuSeqlens);
  const tokens = Uint32Array.from(
    { length: cuSeqlens.at(-1)! },
    () => Math.floor(random() * vocabSize),
  );
  const targets = tokens.map((_, i) =>
    ends.has(i + 1) || random() < 0.25 ? IGNORE : tokens[i + 1]!
  );
  const targetTokens = targets.filter((target) => target !== IGNORE).length;
  return { tokens, targets, cuSeqlens, targetTokens };
}

/** A batch with only the sequences `[first, last)` of another. */
export function sequencesOf(batch: TrainingBatch, first: number, last: number): TrainingBatch {
  const [start, end] = [batch.cuSeqlens[first]!, batch.cuSeqlens[last]!];
  const targets = batch.targets.slice(start, end);
  return {
    tokens: batch.tokens.slice(start, end),
    targets,
    cuSeqlens: batch.cuSeqlens.slice(first, last + 1).map((end) => end - start),
    targetTokens: targets.filter((target) => target !== IGNORE).length,
  };
}

/** What a model is created with where a test does not say otherwise: everything f32, every weight trained. */
export const WEIGHTS_OPTIONS: ModelOptions = {
  formats: [],
  trainable: "weights",
  deltas: [],
  candidates: false,
  optimizer: "adamw",
  microBatchTokens: 64,
  activationCheckpointing: "none",
  precision: "f32",
  memoryBudget: null,
};

/** Creates a model with random weights, its norms and biases included. */
export async function createRandomModel(
  engine: Engine,
  config: ModelConfig,
  options: ModelOptions,
  seed = 1,
): Promise<Map<string, Float32Array<ArrayBuffer>>> {
  const plan = await engine.createModel(config, options);
  const random = randomNumbers(seed);
  const weights = new Map<string, Float32Array<ArrayBuffer>>();
  for (const { name, shape } of plan.tensors) {
    const centre = name.endsWith("norm.weight") ? 1 : 0;
    const length = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length }, () => centre + 0.6 * (random() - 0.5));
    await engine.writeTensor(name, 0, new Uint8Array(values.buffer));
    weights.set(name, values);
  }
  return weights;
}

/** Creates such a model with deltas of random values in every linear layer; returns their modules' sizes. */
export async function createRandomDeltas(
  engine: Engine,
  config: ModelConfig,
  options: Partial<ModelOptions> = {},
): Promise<Map<string, number>> {
  const base = { ...WEIGHTS_OPTIONS, trainable: "deltas" as const, ...options };
  const { tensors, parameters } = await engine.planModel(config, base);
  const deltas = allotDeltas({ tensors, parameters }, { density: 0.1 }, PROJECTIONS);
  await createRandomModel(engine, config, { ...base, deltas });
  const random = randomNumbers(7);
  for (const { module, count } of deltas) {
    await engine.attachDeltas(module, count, 5);
    const values = Float32Array.from({ length: count }, () => 0.6 * (random() - 0.5));
    await engine.writeState(module, "values", values);
  }
  return new Map(deltas.map(({ module, count }) => [module, count]));
}
