/** GGUF files that are whole models, tokenizer and chat template included. */

import { byteTokenizerParts, SPECIAL_TOKENS } from "./byte_tokenizer.ts";
import { buildGguf, type GgufBuilderTensor, type GgufField } from "./gguf_builder.ts";
import { ggufNames, tinyConfig, tinyMetadata, tinyWeights } from "./tiny_model.ts";

/** What such a file holds. */
export interface WholeGguf {
  metadata: Map<string, GgufField>;
  tensors: GgufBuilderTensor[];
}

/**
 * The content of a llama model.
 *
 * @param missing Tokens of the tokenizer that the model has no embedding for.
 */
export function wholeGgufContent(missing = 0): WholeGguf {
  const { json, chatTemplate } = byteTokenizerParts();
  const { vocab, merges } = json.model as { vocab: Record<string, number>; merges: string[][] };
  const tokens = [...Object.keys(vocab).sort((a, b) => vocab[a]! - vocab[b]!), ...SPECIAL_TOKENS];
  const config = { ...tinyConfig("llama"), vocab_size: tokens.length - missing };
  const names = ggufNames(config.num_hidden_layers);
  const string = (value: string): GgufField => ({ type: "string", value });
  const types = tokens.map((token) => SPECIAL_TOKENS.includes(token) ? 3 : 1);
  return {
    metadata: new Map([
      ...tinyMetadata("llama", config),
      ["tokenizer.ggml.model", string("gpt2")],
      ["tokenizer.ggml.pre", string("gpt-2")],
      ["tokenizer.ggml.tokens", { type: "strings", value: tokens }],
      ["tokenizer.ggml.token_type", { type: "i32s", value: types }],
      ["tokenizer.ggml.merges", { type: "strings", value: merges.map((pair) => pair.join(" ")) }],
      ["tokenizer.chat_template", string(chatTemplate ?? "")],
    ]),
    tensors: [...tinyWeights(config)].map(([name, { shape, data }]) => ({
      name: names.get(name)!,
      dimensions: [...shape].reverse(),
      type: 0,
      data: new Uint8Array(data.buffer as ArrayBuffer),
    })),
  };
}

/** The bytes of such a file; see `wholeGgufContent`. */
export function wholeGguf(missing = 0): Uint8Array {
  const { metadata, tensors } = wholeGgufContent(missing);
  return buildGguf({ metadata: [...metadata], tensors });
}
