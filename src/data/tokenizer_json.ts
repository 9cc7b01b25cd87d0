/**
 * Checks a tokenizer.json, and rewrites the parts that the JavaScript tokenizer only approximates into equal
 * parts that it does exactly.
 */
import { SpielError } from "../errors.ts";
import { isObject } from "../io/random_access.ts";
import type { TokenSpelling } from "./token_bytes.ts";
import { type AddedToken, readAddedTokens } from "./tokenizer_added.ts";
import type { BytePairs } from "./tokenizer_merges.ts";
import {
  type BytePairLists,
  checkAddedIds,
  readBytePairLists,
  readBytePairs,
} from "./tokenizer_vocabulary.ts";
import { readUnigramModel, type UnigramModel } from "./tokenizer_unigram.ts";

type Json = Record<string, unknown>;

/** How GPT-2 cuts text into words; `ByteLevel` with `use_regex` implies it. */
export const GPT2_PATTERN = String
  .raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** A pre-tokenizer that makes every match of the pattern, and every gap between, a word of its own. */
export function splitAt(pattern: string): Json {
  return { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
}

/** A pre-tokenizer that only spells bytes as characters. */
export const SPELL_BYTES: Readonly<Json> = {
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: false,
};

/** What a tokenizer is constructed from. */
export interface ExactTokenizer {
  /** The tokenizer.json for the library; with a metaspace vocabulary only its tokens and post-processor. */
  json: Json;
  /** The tokens that are recognised as a whole. */
  added: readonly AddedToken[];
  /** The model, where it is a BPE. */
  bytePairs: BytePairs | null;
  /** The model, where it is a Unigram. */
  unigram: UnigramModel | null;
  /** How the vocabulary spells bytes. */
  spelling: TokenSpelling;
  /** How many spaces decoding takes from the beginning of a text, at most. */
  strippedSpaces: number;
}

/**
 * The tokenizer.json to construct a tokenizer from.
 *
 * @param where Names the file in errors.
 * @param lists The vocabulary and merges of its model, where these are at hand.
 * @throws {SpielError} kind "data" when a part is missing or not supported.
 */
export function exactTokenizerJson(
  json: Json,
  where: string,
  lists?: BytePairLists,
): ExactTokenizer {
  const { model } = json;
  if (!isObject(model)) throw new SpielError("data", `${where}: "model" is not an object`);
  if (model.type !== "BPE" && model.type !== "Unigram") {
    throw new SpielError(
      "data",
      `${where}: model type ${
        JSON.stringify(model.type)
      } is not supported; supported: BPE, Unigram`,
    );
  }
  const added = readAddedTokens(json.added_tokens, where);
  checkAddedIds(added, where);
  const bytePairs = lists !== undefined
    ? readBytePairLists(lists, where)
    : model.type === "BPE"
    ? readBytePairs(model, where)
    : null;
  const unigram = model.type === "Unigram" ? readUnigramModel(model, where) : null;
  const spelling = spellingOf(json, where);
  const complete: Json = { added_tokens: [], normalizer: null, post_processor: null, ...json };
  if (spelling === "metaspace") {
    return {
      json: { ...complete, normalizer: null, pre_tokenizer: null, decoder: null },
      added,
      bytePairs,
      unigram,
      spelling,
      strippedSpaces: strippedSpaces(json.decoder ?? null, where),
    };
  }
  const pre_tokenizer = exactPreTokenizer(json.pre_tokenizer ?? null, where);
  const full = { decoder: null, ...complete, pre_tokenizer };
  return { json: full, added, bytePairs, unigram, spelling, strippedSpaces: 0 };
}

/**
 * What the decoder of a metaspace vocabulary takes from the beginning of a text. Beside that, such decoders differ in
 * nothing: U+2581 is a space, and `<0x0A>` a byte.
 */
function strippedSpaces(decoder: unknown, where: string): number {
  const refuse = (part: unknown) =>
    new SpielError(
      "data",
      `${where}: decoder ${JSON.stringify(part)} is not supported with this vocabulary; ` +
        `supported: Metaspace, or a Sequence of Replace (of "\u2581" by " "), ByteFallback, Fuse and then ` +
        `Strip (of " " at the start)`,
    );
  let stripped = 0;
  let isFused = false;
  const follow = (part: unknown) => {
    if (!isObject(part)) throw refuse(part);
    switch (part.type) {
      case "Sequence":
        if (!Array.isArray(part.decoders)) throw refuse(part);
        part.decoders.forEach(follow);
        return;
      case "Replace": {
        const isSpace = isObject(part.pattern) && part.pattern.String === "\u2581";
        if (!isSpace || part.content !== " ") throw refuse(part);
        return;
      }
      case "ByteFallback":
        return;
      case "Fuse":
        isFused = true;
        return;
      case "Strip":
        if (!isFused || part.content !== " " || (part.stop ?? 0) !== 0) throw refuse(part);
        stripped += typeof part.start === "number" ? part.start : 0;
        return;
      case "Metaspace":
        if ((part.replacement ?? "\u2581") !== "\u2581") throw refuse(part);
        stripped += part.prepend_scheme === "never" || part.add_prefix_space === false ? 0 : 1;
        return;
      default:
        throw refuse(part);
    }
  };
  follow(decoder);
  return stripped;
}

function spellingOf(json: Json, where: string): TokenSpelling {
  const types = new Set([...partTypes(json.decoder), ...partTypes(json.pre_tokenizer)]);
  if (types.has("ByteLevel")) return "byte_level";
  if (["ByteFallback", "Metaspace", "Replace"].some((type) => types.has(type))) return "metaspace";
  throw new SpielError(
    "data",
    `${where}: neither the decoder nor the pre_tokenizer is ByteLevel, ByteFallback, Metaspace or Replace, ` +
      `so the text of its tokens is unknown`,
  );
}

function* partTypes(part: unknown): Generator<unknown> {
  if (!isObject(part)) return;
  yield part.type;
  for (const inner of [part.decoders, part.pretokenizers]) {
    if (Array.isArray(inner)) { for (const item of inner) yield* partTypes(item); }
  }
}

function exactPreTokenizer(part: unknown, where: string): unknown {
  if (!isObject(part)) return part;
  switch (part.type) {
    case "Sequence": {
      const inner = Array.isArray(part.pretokenizers) ? part.pretokenizers : [];
      return { ...part, pretokenizers: inner.map((item) => exactPreTokenizer(item, where)) };
    }
    case "Digits":
      // Numbers of every script, where the JavaScript part takes ASCII digits only.
      return splitAt(part.individual_digits ? String.raw`\p{N}` : String.raw`\p{N}+`);
    case "ByteLevel":
      // The same pattern with Unicode's white space, where the JavaScript part takes that of JavaScript.
      return part.use_regex === false || part.add_prefix_space === true
        ? part
        : { type: "Sequence", pretokenizers: [splitAt(GPT2_PATTERN), { ...SPELL_BYTES }] };
    case "Split": {
      const isolates = part.behavior === "Isolated" && part.invert !== true;
      if (!isolates && part.behavior !== "Removed") {
        throw new SpielError(
          "data",
          `${where}: a Split pre_tokenizer with behavior ${JSON.stringify(part.behavior)}` +
            `${part.invert ? " inverted" : ""} is not supported; supported: Isolated, Removed`,
        );
      }
      return part;
    }
    default:
      return part;
  }
}
