/** What a GGUF file says of a LLaMA model besides its weights, with a tokenizer that spells every text by its bytes. */

import type { ModelConfig } from "../../mod.ts";
import type { GgufField } from "../../src/io/gguf_writer.ts";

/** What a token is for, in GGUF's numbers. */
const TOKEN = { normal: 1, unknown: 2, control: 3, unused: 5, byte: 6 } as const;
const SPACE = "\u2581";

/** The metadata, in the order of the file. */
export function llamaMetadata(name: string, config: ModelConfig): Map<string, GgufField> {
  const u32 = (value: number): GgufField => ({ type: "u32", value });
  const f32 = (value: number): GgufField => ({ type: "f32", value });
  const text = (value: string): GgufField => ({ type: "string", value });
  const tokens = vocabulary(config.vocab_size);
  return new Map([
    ["general.architecture", text("llama")],
    ["general.name", text(`${name}, random weights`)],
    // Mostly Q4_0.
    ["general.file_type", u32(2)],
    ["llama.vocab_size", u32(config.vocab_size)],
    ["llama.context_length", u32(config.max_position_embeddings)],
    ["llama.embedding_length", u32(config.hidden_size)],
    ["llama.block_count", u32(config.num_hidden_layers)],
    ["llama.feed_forward_length", u32(config.intermediate_size)],
    ["llama.attention.head_count", u32(config.num_attention_heads)],
    ["llama.attention.head_count_kv", u32(config.num_key_value_heads)],
    ["llama.attention.key_length", u32(config.head_dim)],
    ["llama.attention.value_length", u32(config.head_dim)],
    ["llama.attention.layer_norm_rms_epsilon", f32(config.rms_norm_eps)],
    ["llama.rope.dimension_count", u32(config.head_dim)],
    ["llama.rope.freq_base", f32(config.rope_theta)],
    ["tokenizer.ggml.model", text("llama")],
    ["tokenizer.ggml.tokens", { type: "strings", value: tokens.map(([text]) => text) }],
    ["tokenizer.ggml.scores", { type: "f32s", value: tokens.map(() => 0) }],
    ["tokenizer.ggml.token_type", { type: "i32s", value: tokens.map(([, type]) => type) }],
    ["tokenizer.ggml.unknown_token_id", u32(0)],
    ["tokenizer.ggml.bos_token_id", u32(1)],
    ["tokenizer.ggml.eos_token_id", u32(2)],
  ]);
}

/** Tokens and their types by id, as in LLaMA 2 up to the bytes; ids that are left over stand for nothing. */
function vocabulary(size: number): [text: string, type: number][] {
  const tokens: [string, number][] = [
    ["<unk>", TOKEN.unknown],
    ["<s>", TOKEN.control],
    ["</s>", TOKEN.control],
  ];
  for (let byte = 0; byte < 256; byte++) {
    const digits = byte.toString(16).toUpperCase().padStart(2, "0");
    tokens.push([`<0x${digits}>`, TOKEN.byte]);
  }
  tokens.push([SPACE, TOKEN.normal]);
  if (tokens.length > size) {
    throw new RangeError(`A vocabulary of ${size} has no room for ${tokens.length} tokens`);
  }
  while (tokens.length < size) tokens.push([`<unused${tokens.length}>`, TOKEN.unused]);
  return tokens;
}
