/** Builds the content of tokenizer.json from the metadata of a GGUF file. */
import { GgufFile } from "../io/gguf.ts";
import { ggufSpecialTokenIds } from "./special_tokens.ts";
import type { TokenizerParts } from "./tokenizer.ts";
import { GPT2_PATTERN, SPELL_BYTES, splitAt } from "./tokenizer_json.ts";

/** What `tokenizer.ggml.pre` implies. */
interface PreTokenizer {
  /** Applied in turn, each to the words that the one before left. */
  patterns: string[];
  /** Whether characters are composed first. */
  composes?: boolean;
  /** Whether a word that is a token stays whole. */
  ignoresMerges?: boolean;
  /** Whether a begin token is added where the metadata does not say. */
  addsBos?: boolean;
}

const LLAMA3_PATTERN = String
  .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const QWEN2_PATTERN = LLAMA3_PATTERN.replace("{1,3}", "");

const LLAMA3: PreTokenizer = { patterns: [LLAMA3_PATTERN], ignoresMerges: true, addsBos: true };

const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map<string, PreTokenizer>([
  // Every digit alone, then words as in GPT-2.
  ["smollm", { patterns: [String.raw`\p{N}`, GPT2_PATTERN] }],
  ["llama-bpe", LLAMA3],
  ["llama3", LLAMA3],
  ["llama-v3", LLAMA3],
  ["qwen2", { patterns: [QWEN2_PATTERN], composes: true }],
  ["gpt-2", { patterns: [GPT2_PATTERN] }],
  // What llama.cpp takes for a vocabulary of no known kind.
  [
    "default",
    {
      patterns: [
        String.raw`[\p{P}\$\+<=>\^~\|]+`,
        GPT2_PATTERN,
        String.raw`\p{N}+`,
        "[0-9][0-9][0-9]",
      ],
    },
  ],
]);

/** `tokenizer.ggml.token_type` values of tokens that are recognised as a whole. */
const CONTROL = 3;
const USER_DEFINED = 4;

/**
 * Reads the tokenizer of a .gguf file.
 *
 * @throws {SpielError} kind "data" when its kind is not supported.
 */
export function readGgufTokenizer(path: string): TokenizerParts {
  using file = GgufFile.open(path);
  const model = file.string("tokenizer.ggml.model");
  if (model !== "gpt2") throw unsupported(file, "tokenizer.ggml.model", model, ["gpt2"]);
  const pre = file.string("tokenizer.ggml.pre");
  const preTokenizer = PRE_TOKENIZERS.get(pre ?? "");
  if (preTokenizer === undefined) {
    throw unsupported(file, "tokenizer.ggml.pre", pre, [...PRE_TOKENIZERS.keys()]);
  }
  const tokens = required(file, "tokenizer.ggml.tokens", file.strings("tokenizer.ggml.tokens"));
  const { bos, eos } = ggufSpecialTokenIds(file);
  const text = (id: number | null | undefined) => (id === null ? null : tokens[id ?? -1] ?? null);
  const id = (name: string) => file.number(`tokenizer.ggml.${name}_token_id`);
  const bosToken = text(bos);
  const eosToken = text(id("eos"));
  const addsBos = file.boolean("tokenizer.ggml.add_bos_token") ?? preTokenizer.addsBos ?? false;
  const addsEos = file.boolean("tokenizer.ggml.add_eos_token") ?? false;
  return {
    where: `${path}: tokenizer`,
    json: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: addedTokens(file, tokens),
      normalizer: preTokenizer.composes ? { type: "NFC" } : null,
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [...preTokenizer.patterns.map(splitAt), { ...SPELL_BYTES }],
      },
      post_processor: surroundWith(addsBos ? bosToken : null, addsEos ? eosToken : null, tokens),
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: bytePairModel(file, tokens, preTokenizer.ignoresMerges ?? false),
    },
    config: {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: bosToken,
      eos_token: eosToken,
      unk_token: text(id("unknown")),
      pad_token: text(id("padding")),
      clean_up_tokenization_spaces: false,
    },
    bosToken,
    eosToken,
    eosTokenIds: eos,
    chatTemplate: file.string("tokenizer.chat_template") ?? null,
  };
}

function addedTokens(file: GgufFile, tokens: readonly string[]) {
  const types = file.numbers("tokenizer.ggml.token_type") ?? [];
  return tokens.flatMap((content, id) => {
    const type = types[id];
    if (type !== CONTROL && type !== USER_DEFINED) return [];
    return [{
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: type === CONTROL,
    }];
  });
}

function bytePairModel(file: GgufFile, tokens: readonly string[], ignoresMerges: boolean) {
  const merges = required(file, "tokenizer.ggml.merges", file.strings("tokenizer.ggml.merges"));
  const vocab: Record<string, number> = Object.create(null);
  tokens.forEach((token, id) => {
    if (token in vocab) throw file.fail(`token ${JSON.stringify(token)} occurs twice`);
    vocab[token] = id;
  });
  return {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: "",
    end_of_word_suffix: "",
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: ignoresMerges,
    vocab,
    merges: merges.map((merge) => {
      // The first part may itself begin with a space, never the second.
      const at = merge.indexOf(" ", 1);
      if (at < 0) throw file.fail(`merge ${JSON.stringify(merge)} is not two parts`);
      return [merge.slice(0, at), merge.slice(at + 1)];
    }),
  };
}

/** A post-processor that puts tokens around a text; null when there is nothing to put. */
function surroundWith(before: string | null, after: string | null, tokens: readonly string[]) {
  const added = [before, after].filter((token) => token !== null);
  if (added.length === 0) return null;
  const item = (token: string) => ({ SpecialToken: { id: token, type_id: 0 } });
  const sequence = (id: "A" | "B") => ({ Sequence: { id, type_id: 0 } });
  const around = (id: "A" | "B") => [
    ...(before === null ? [] : [item(before)]),
    sequence(id),
    ...(after === null ? [] : [item(after)]),
  ];
  return {
    type: "TemplateProcessing",
    single: around("A"),
    pair: [...around("A"), ...around("B")],
    special_tokens: Object.fromEntries(
      added.map((token) => [token, { id: token, ids: [tokens.indexOf(token)], tokens: [token] }]),
    ),
  };
}

function required<T>(file: GgufFile, key: string, value: T | undefined): T {
  if (value === undefined) throw file.fail(`metadata "${key}" is missing`);
  return value;
}

function unsupported(file: GgufFile, key: string, value: string | undefined, supported: string[]) {
  const shown = value === undefined ? "(missing)" : JSON.stringify(value);
  return file.fail(`${key} ${shown} is not supported; supported: ${supported.join(", ")}`);
}
