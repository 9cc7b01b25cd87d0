/** Builds the content of tokenizer.json from the metadata of a GGUF file. */
import type { GgufFile } from "../io/gguf.ts";
import { ggufSpecialTokenIds, ggufTokenId } from "./special_tokens.ts";
import type { TokenizerParts } from "./tokenizer.ts";
import { SPELL_BYTES, splitAt } from "./tokenizer_json.ts";
import { PRE_TOKENIZERS } from "./tokenizer_pre.ts";
import {
  addedToken,
  PIECE_TYPE,
  type PieceVocabulary,
  sentencePieceJson,
} from "./tokenizer_sentencepiece.ts";
import { type BytePairLists, mergedParts } from "./tokenizer_vocabulary.ts";
import { surroundWith } from "./tokenizer_surround.ts";

/** The parts that depend on `tokenizer.ggml.model`. */
interface Vocabulary {
  json: Record<string, unknown>;
  lists?: BytePairLists;
  addsBos: boolean;
  /** Ids that stand for what the metadata leaves out. */
  defaults: { bos?: number; eos?: number; unknown?: number };
}

const MODELS: ReadonlyMap<string, (file: GgufFile, tokens: readonly string[]) => Vocabulary> =
  new Map([["gpt2", byteLevel], ["llama", sentencePiece]]);

/**
 * Reads the tokenizer of an open .gguf file.
 *
 * @throws {SpielError} kind "data" when its kind is not supported.
 */
export function readGgufTokenizer(file: GgufFile): TokenizerParts {
  const model = file.string("tokenizer.ggml.model");
  const read = MODELS.get(model ?? "");
  if (read === undefined) {
    throw unsupported(file, "tokenizer.ggml.model", model, [...MODELS.keys()]);
  }
  const tokens = required(file, "tokenizer.ggml.tokens", file.strings("tokenizer.ggml.tokens"));
  const { json, lists, addsBos, defaults } = read(file, tokens);
  const { bos, eos } = ggufSpecialTokenIds(file, tokens.length);
  const id = (name: string) => file.number(`tokenizer.ggml.${name}_token_id`);
  const token = (id: number | null | undefined) => {
    const content = tokens[id ?? -1];
    return id === null || id === undefined || content === undefined ? null : { id, content };
  };
  const bosToken = token(bos ?? defaults.bos);
  const eosToken = token(id("eos") ?? defaults.eos);
  const flag = (name: string) => file.boolean(`tokenizer.ggml.add_${name}_token`);
  return {
    where: `${file.path}: tokenizer`,
    ...lists === undefined ? {} : { lists },
    json: {
      ...json,
      post_processor: surroundWith(
        flag("bos") ?? addsBos ? bosToken : null,
        flag("eos") ?? false ? eosToken : null,
      ),
    },
    config: {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: bosToken?.content ?? null,
      eos_token: eosToken?.content ?? null,
      unk_token: token(id("unknown") ?? defaults.unknown)?.content ?? null,
      pad_token: token(id("padding"))?.content ?? null,
      clean_up_tokenization_spaces: false,
    },
    bosToken: bosToken?.content ?? null,
    eosToken: eosToken?.content ?? null,
    eosTokenIds: eos,
    chatTemplate: file.string("tokenizer.chat_template") ?? null,
  };
}

/** GPT-2's kind: every byte is a character of the vocabulary. */
function byteLevel(file: GgufFile, tokens: readonly string[]): Vocabulary {
  const pre = file.string("tokenizer.ggml.pre");
  const preTokenizer = PRE_TOKENIZERS.get(pre ?? "");
  if (preTokenizer === undefined) {
    throw unsupported(file, "tokenizer.ggml.pre", pre, [...PRE_TOKENIZERS.keys()]);
  }
  const types = perToken(file, "tokenizer.ggml.token_type", tokens) ?? [];
  const merges = required(file, "tokenizer.ggml.merges", file.strings("tokenizer.ggml.merges"));
  const lists = { tokens, merges };
  return {
    lists,
    json: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: tokens.flatMap((content, id) => {
        const isSpecial = types[id] === PIECE_TYPE.control;
        const isAdded = isSpecial || types[id] === PIECE_TYPE.userDefined;
        return isAdded ? [addedToken(id, content, isSpecial)] : [];
      }),
      normalizer: preTokenizer.composes ? { type: "NFC" } : null,
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [...preTokenizer.patterns.map(splitAt), { ...SPELL_BYTES }],
      },
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: bytePairModel(lists, preTokenizer.ignoresMerges ?? false),
    },
    addsBos: preTokenizer.addsBos ?? false,
    defaults: {},
  };
}

/** SentencePiece's BPE. What the metadata leaves out is as in LLaMA 2. */
function sentencePiece(file: GgufFile, tokens: readonly string[]): Vocabulary {
  const scores = perToken(file, "tokenizer.ggml.scores", tokens);
  const types = perToken(file, "tokenizer.ggml.token_type", tokens);
  const pieces = tokens.map((text, id) => ({
    text,
    score: scores?.[id] ?? 0,
    type: types?.[id] ?? PIECE_TYPE.normal,
  }));
  const unknown = ggufTokenId(file, "unknown", tokens.length);
  const spacePrefix = file.boolean("tokenizer.ggml.add_space_prefix") ?? true;
  const vocabulary: PieceVocabulary = {
    type: "BPE",
    pieces,
    unknown: unknown === undefined ? 0 : unknown,
    byteFallback: pieces.some(({ type }) => type === PIECE_TYPE.byte),
    spacePrefix: spacePrefix ? "every" : "none",
    removesExtraSpaces: file.boolean("tokenizer.ggml.remove_extra_whitespaces") ?? false,
    characterMap: null,
  };
  const json = sentencePieceJson(vocabulary, file.path);
  if (/phi-?3/i.test(file.string("general.name") ?? "")) {
    // The metadata cannot say that the tokens of Phi-3's turns take the white space behind them.
    for (const token of json.added_tokens) {
      token.rstrip = !["<unk>", "<s>", "<|endoftext|>"].includes(token.content);
    }
  }
  return { json, addsBos: true, defaults: { bos: 1, eos: 2, unknown: 0 } };
}

/** The model as tokenizer.json has it: its lists in other forms, which are made for those who ask for them. */
function bytePairModel({ tokens, merges }: BytePairLists, ignoresMerges: boolean) {
  return {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: "",
    end_of_word_suffix: "",
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: ignoresMerges,
    get vocab(): Record<string, number> {
      const vocab: Record<string, number> = Object.create(null);
      tokens.forEach((token, id) => vocab[token] = id);
      return vocab;
    },
    get merges() {
      return merges.map(mergedParts);
    },
  };
}

/** A number for every token; undefined when the key is absent. */
function perToken(file: GgufFile, key: string, tokens: readonly string[]): number[] | undefined {
  const values = file.numbers(key);
  if (values === undefined || values.length === tokens.length) return values;
  throw file.fail(`${key} has ${values.length} values for ${tokens.length} tokens`);
}

function required<T>(file: GgufFile, key: string, value: T | undefined): T {
  if (value === undefined) throw file.fail(`metadata "${key}" is missing`);
  return value;
}

function unsupported(file: GgufFile, key: string, value: string | undefined, supported: string[]) {
  const shown = value === undefined ? "(missing)" : JSON.stringify(value);
  return file.fail(`${key} ${shown} is not supported; supported: ${supported.join(", ")}`);
}
