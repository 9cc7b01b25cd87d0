/** A tokenizer with one token per byte, a few merges, and special tokens: small enough to reason about. */
import { makeTokenizer, type Tokenizer, type TokenizerParts } from "../../src/data/tokenizer.ts";

/** Begin, end of text, start and end of a turn. Their ids follow those of the merges. */
export const SPECIAL_TOKENS = ["<s>", "</s>", "<|turn|>", "<|end|>"];

/** A template in the manner of ChatML. */
export const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|turn|>' + message['role'] + '\n' + message['content'] + '<|end|>' + '\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}";

/** Its parts; `changes` to tokenizer.json and to the parts are laid over. */
export function byteTokenizerParts(
  changes: Partial<TokenizerParts> = {},
  jsonChanges: Record<string, unknown> = {},
): TokenizerParts {
  const vocab: Record<string, number> = {};
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte !== 0xAD);
    vocab[String.fromCharCode(isPrintable ? byte : next++)] = byte;
  }
  const merges = [["t", "h"], ["th", "e"], ["\u0120", "a"], ["\u0120", "the"]];
  for (const [left, right] of merges) vocab[`${left}${right}`] = Object.keys(vocab).length;
  const size = Object.keys(vocab).length;
  return {
    where: "byte tokenizer",
    json: {
      added_tokens: SPECIAL_TOKENS.map((content, i) => ({
        id: size + i,
        content,
        special: true,
        normalized: false,
      })),
      normalizer: null,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
      post_processor: null,
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab, merges },
      ...jsonChanges,
    },
    config: {},
    bosToken: "<s>",
    eosToken: "</s>",
    eosTokenIds: [],
    chatTemplate: CHAT_TEMPLATE,
    ...changes,
  };
}

/** The tokenizer, with a chat template unless told otherwise. */
export function byteTokenizer(
  changes: Partial<TokenizerParts> = {},
  jsonChanges: Record<string, unknown> = {},
): Tokenizer {
  return makeTokenizer(byteTokenizerParts(changes, jsonChanges));
}
