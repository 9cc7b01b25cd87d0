/** Models to measure without their files: shapes with random weights. */

import type { ModelConfig } from "../src/engine/protocol.gen.ts";

const COMMON = {
  rope_theta: 10_000,
  rope_scaling: null,
  attention_bias: false,
  qk_norm: false,
  sliding_window: null,
} as const;

/** Configurations by name. */
export const MODEL_SHAPES: Readonly<Record<string, ModelConfig>> = {
  "smollm2-135m": {
    ...COMMON,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    head_dim: 64,
    vocab_size: 49_152,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
  },
  "llama-2-7b": {
    ...COMMON,
    hidden_size: 4096,
    intermediate_size: 11_008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    head_dim: 128,
    vocab_size: 32_000,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: false,
  },
};
