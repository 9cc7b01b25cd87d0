/** Models whose weights do not matter, by their shapes. */

import type { ModelConfig } from "../../mod.ts";

const COMMON = {
  rope_theta: 10_000,
  rope_scaling: null,
  rms_norm_eps: 1e-5,
  attention_bias: false,
  qk_norm: false,
  sliding_window: null,
} as const;

/** The configurations by name. */
export const MODEL_SHAPES: Readonly<Record<string, ModelConfig>> = {
  // Rows of whole blocks, and a vocabulary that has room for every byte.
  "tiny": {
    ...COMMON,
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    vocab_size: 320,
    max_position_embeddings: 256,
    tie_word_embeddings: false,
  },
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
    tie_word_embeddings: false,
  },
  "llama-2-13b": {
    ...COMMON,
    hidden_size: 5120,
    intermediate_size: 13_824,
    num_hidden_layers: 40,
    num_attention_heads: 40,
    num_key_value_heads: 40,
    head_dim: 128,
    vocab_size: 32_000,
    max_position_embeddings: 4096,
    tie_word_embeddings: false,
  },
};
