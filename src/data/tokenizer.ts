/** Text to token ids and back, with the position of every token in its text. */
import { Tokenizer as HuggingFaceTokenizer } from "npm:@huggingface/tokenizers@0.2.0";
import { SpielError } from "../errors.ts";
import { GgufFile } from "../io/gguf.ts";
import { isFolder } from "../io/random_access.ts";
import { kindOfPath } from "../io/recognise.ts";
import { concatBytes, spellBytes, tokenBytes } from "./token_bytes.ts";
import { alignTokens, type TokenOffsets } from "./token_offsets.ts";
import { bytePairSegmenter, useBytePairs, withoutVocabulary } from "./tokenizer_bpe.ts";
import { type ExactTokenizer, exactTokenizerJson } from "./tokenizer_json.ts";
import { readFolderTokenizer } from "./tokenizer_folder.ts";
import { readGgufTokenizer } from "./tokenizer_gguf.ts";
import { compileNormalizer } from "./tokenizer_normalizer.ts";
import type { BytePairLists } from "./tokenizer_vocabulary.ts";
import { PieceTokenizer, type PieceTokenizerParts } from "./tokenizer_pieces.ts";
import { unigramSegmenter } from "./tokenizer_unigram.ts";
import { rememberWords, withoutSpelling } from "./tokenizer_word_memo.ts";
import { compileWords } from "./tokenizer_words.ts";

/** What a tokenizer is made of, in the terms of Hugging Face's files. */
export interface TokenizerParts {
  /** Names the source in errors. */
  where: string;
  /** The content of tokenizer.json. */
  json: Record<string, unknown>;
  /** Vocabulary and merges of `json.model` once more, where the source has them as lists: these are read faster. */
  lists?: BytePairLists;
  /** The content of tokenizer_config.json, without the chat template. */
  config: Record<string, unknown>;
  /** The token that begins a text. */
  bosToken: string | null;
  /** The token that ends a text. */
  eosToken: string | null;
  /** Ids that end a generation, beside that of `eosToken`. */
  eosTokenIds: readonly number[];
  /** Jinja source of the chat template. */
  chatTemplate: string | null;
  /** Names the file of the template in errors, where it is another one. */
  templateWhere?: string;
}

/** Which of the tokenizer's own begin and end tokens are put around the text. */
export interface EncodeOptions {
  /** All of them, none, or only those that begin a text, for one that is to be continued. Default true. */
  addSpecialTokens?: boolean | "begin";
}

/** A tokenizer. Strings that spell special tokens are recognised as these. */
export interface Tokenizer {
  /** Number of ids: the largest one plus one. */
  readonly vocabSize: number;
  /** The token that begins a text. */
  readonly bosToken: string | null;
  /** The token that ends a text. */
  readonly eosToken: string | null;
  /** Ids that end a generation. */
  readonly eosTokenIds: readonly number[];
  /** Jinja source of the chat template. */
  readonly chatTemplate: string | null;
  /** The strings recognised as special tokens. */
  readonly specialTokens: readonly string[];
  /** What it was made from; see `tokenizerFiles`. */
  readonly parts: TokenizerParts;
  /** Turns text into ids. */
  encode(text: string, options?: EncodeOptions): Uint32Array;
  /** Also gives UTF-16 positions in `text`. A token that is not in the text has an empty range. */
  encodeWithOffsets(text: string, options?: EncodeOptions): { ids: Uint32Array } & TokenOffsets;
  /** Bytes that are no valid UTF-8 become U+FFFD. */
  decode(ids: ArrayLike<number>, options?: { skipSpecialTokens?: boolean }): string;
}

/**
 * Loads the tokenizer of a Hugging Face folder or of a .gguf file or its parts.
 *
 * @throws {SpielError} kind "data" naming the file and what is missing or unsupported.
 */
export function loadTokenizer(path: string): Tokenizer {
  if (kindOfPath(path) === "gguf") {
    using file = GgufFile.open(path);
    return makeTokenizer(readGgufTokenizer(file));
  }
  if (isFolder(path)) return makeTokenizer(readFolderTokenizer(path));
  throw new SpielError(
    "data",
    `Cannot load a tokenizer from "${path}"; expected a folder with tokenizer.json or tokenizer.model, or a .gguf file`,
  );
}

/**
 * Makes a tokenizer from its parts.
 *
 * @throws {SpielError} kind "data" when tokenizer.json asks for what is not supported.
 */
export function makeTokenizer(parts: TokenizerParts): Tokenizer {
  const exact = exactTokenizerJson(parts.json, parts.where, parts.lists);
  const words = exact.spelling === "byte_level" ? withoutSpelling(exact.json.pre_tokenizer) : null;
  const json = words === null ? exact.json : { ...exact.json, pre_tokenizer: words.part };
  const { bytePairs, added } = exact;
  let tokenizer: HuggingFaceTokenizer;
  try {
    if (bytePairs === null) {
      tokenizer = new HuggingFaceTokenizer(json, {});
    } else {
      tokenizer = new HuggingFaceTokenizer({ ...json, model: withoutVocabulary(json.model) }, {});
      const model = tokenizer.model!;
      useBytePairs(model, bytePairs, added);
      rememberWords(model, words === null ? (word) => word : spellBytes);
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SpielError("data", `${parts.where}: unusable tokenizer: ${reason}`, { cause });
  }
  return new LoadedTokenizer(parts, tokenizer, exact);
}

/** What another thread needs to make the same tokenizer from, which may be much less than all parts. */
export function partsForWorker({ parts }: Tokenizer): TokenizerParts {
  if (parts.lists === undefined) return parts;
  return { ...parts, json: { ...parts.json, model: withoutVocabulary(parts.json.model) } };
}

/** The files, by name, from which transformers loads the same tokenizer. */
export function tokenizerFiles({ parts }: Tokenizer): Map<string, string> {
  const { json, config, chatTemplate } = parts;
  const fullConfig = chatTemplate === null ? config : { ...config, chat_template: chatTemplate };
  return new Map([
    ["tokenizer.json", JSON.stringify(json)],
    ["tokenizer_config.json", JSON.stringify(fullConfig, null, 2)],
  ]);
}

/**
 * Refuses a tokenizer that has ids the model has no embedding for.
 *
 * @throws {SpielError} kind "data".
 */
export function checkVocabulary(tokenizer: Tokenizer, modelVocabSize: number): void {
  if (tokenizer.vocabSize > modelVocabSize) {
    throw new SpielError(
      "data",
      `${tokenizer.parts.where} has ids up to ${tokenizer.vocabSize - 1}, ` +
        `but the model's vocab_size is ${modelVocabSize}: they do not belong together`,
    );
  }
}

class LoadedTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly bosToken: string | null;
  readonly eosToken: string | null;
  readonly eosTokenIds: readonly number[];
  readonly chatTemplate: string | null;
  readonly specialTokens: readonly string[];
  readonly #tokenizer: HuggingFaceTokenizer;
  readonly #exact: ExactTokenizer;
  /** Null for byte-level vocabularies, which the library tokenises. */
  readonly #pieces: PieceTokenizer | null;
  /** Bytes of the tokens that are recognised as a whole, by their content. */
  readonly #added = new Map<string, Uint8Array>();
  /** Bytes of the tokens that have been asked for. */
  readonly #known = new Map<string, Uint8Array>();
  readonly #specialIds = new Set<number>();
  /** Ids that the post-processor puts before and after a text. */
  readonly #prefix: number[];
  readonly #suffix: number[];

  constructor(
    readonly parts: TokenizerParts,
    tokenizer: HuggingFaceTokenizer,
    exact: ExactTokenizer,
  ) {
    this.#tokenizer = tokenizer;
    this.#exact = exact;
    this.#pieces = exact.spelling === "metaspace"
      ? new PieceTokenizer(pieceTokenizerParts(parts, exact, tokenizer))
      : null;
    const utf8 = new TextEncoder();
    const special: string[] = [];
    for (const [id, token] of tokenizer.get_added_tokens_decoder()) {
      // Added tokens of SentencePiece vocabularies may be runs of spaces, spelled like those of other tokens.
      if (this.#pieces === null) this.#added.set(token.content, utf8.encode(token.content));
      if (!token.special) continue;
      special.push(token.content);
      this.#specialIds.add(id);
    }
    this.specialTokens = special;
    this.vocabSize = tokenizer.model!.vocab.length;
    this.bosToken = parts.bosToken;
    this.eosToken = parts.eosToken;
    const eosId = parts.eosToken === null ? undefined : tokenizer.token_to_id(parts.eosToken);
    this.eosTokenIds = [
      ...new Set(eosId === undefined ? parts.eosTokenIds : [...parts.eosTokenIds, eosId]),
    ];
    this.chatTemplate = parts.chatTemplate;
    [this.#prefix, this.#suffix] = surroundings(tokenizer);
  }

  encode(text: string, options: EncodeOptions = {}): Uint32Array {
    const { ids } = this.#pieces === null
      ? this.#tokenizer.encode(text, { add_special_tokens: false })
      : this.#pieces.encode(text);
    return this.#surround(ids, options);
  }

  encodeWithOffsets(
    text: string,
    options: EncodeOptions = {},
  ): { ids: Uint32Array } & TokenOffsets {
    const { ids, starts, ends } = this.#pieces?.encode(text) ?? this.#locate(text);
    const all = this.#surround(ids, options);
    if (all.length === ids.length) return { ids: all, starts, ends };
    const before = this.#prefix.length;
    const shifted = (positions: Uint32Array) => {
      const result = new Uint32Array(all.length).fill(text.length, before + ids.length);
      result.set(positions, before);
      return result;
    };
    return { ids: all, starts: shifted(starts), ends: shifted(ends) };
  }

  decode(ids: ArrayLike<number>, options: { skipSpecialTokens?: boolean } = {}): string {
    const all: number[] = Array.from(ids);
    const shown = options.skipSpecialTokens ? all.filter((id) => !this.#specialIds.has(id)) : all;
    const pieces = shown.map((id) => this.#bytes(this.#token(id)));
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(concatBytes(pieces));
    return withoutLeadingSpaces(text, this.#exact.strippedSpaces);
  }

  #locate(text: string): { ids: number[] } & TokenOffsets {
    const { ids, tokens } = this.#tokenizer.encode(text, { add_special_tokens: false });
    return { ids, ...alignTokens(text, tokens.map((token) => this.#bytes(token))) };
  }

  #surround(
    ids: readonly number[],
    { addSpecialTokens: added = true }: EncodeOptions,
  ): Uint32Array {
    const prefix = added === false ? [] : this.#prefix;
    const suffix = added === true ? this.#suffix : [];
    return Uint32Array.from([...prefix, ...ids, ...suffix]);
  }

  #token(id: number): string {
    const token = this.#pieces?.spellings.get(id) ?? this.#tokenizer.id_to_token(id);
    if (token === undefined) {
      throw new SpielError(
        "data",
        `Cannot decode token ${id}: the vocabulary has ${this.vocabSize} ids`,
      );
    }
    return token;
  }

  #bytes(token: string): Uint8Array {
    let bytes = this.#known.get(token);
    if (bytes === undefined) {
      bytes = this.#added.get(token) ?? tokenBytes(token, this.#exact.spelling);
      this.#known.set(token, bytes);
    }
    return bytes;
  }
}

/** The steps of a tokenizer.json with a vocabulary of SentencePiece's kind. */
function pieceTokenizerParts(
  { json, where }: TokenizerParts,
  { added, unigram }: ExactTokenizer,
  tokenizer: HuggingFaceTokenizer,
): PieceTokenizerParts {
  return {
    added,
    normalize: compileNormalizer(json.normalizer, where),
    cutWords: compileWords(json.pre_tokenizer, where),
    segment: unigram === null ? bytePairSegmenter(tokenizer.model!) : unigramSegmenter(unigram),
  };
}

function withoutLeadingSpaces(text: string, most: number): string {
  let count = 0;
  while (count < most && text[count] === " ") count++;
  return text.slice(count);
}

/** What the post-processor puts before and after every text. */
function surroundings(tokenizer: HuggingFaceTokenizer): [number[], number[]] {
  const probe = "a";
  const bare = tokenizer.encode(probe, { add_special_tokens: false }).ids;
  const full = tokenizer.encode(probe, { add_special_tokens: true }).ids;
  const text = bare.join();
  for (let start = 0; start + bare.length <= full.length; start++) {
    if (full.slice(start, start + bare.length).join() === text) {
      return [full.slice(0, start), full.slice(start + bare.length)];
    }
  }
  return [[], []];
}
