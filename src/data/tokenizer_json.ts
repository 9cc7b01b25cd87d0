/**
 * Checks a tokenizer.json, and rewrites the parts that the JavaScript tokenizer only approximates into equal
 * parts that it does exactly.
 */
import { SpielError } from "../errors.ts";
import { isObject } from "../io/random_access.ts";
import type { TokenSpelling } from "./token_bytes.ts";

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

/**
 * The tokenizer.json to construct a tokenizer from, and how its vocabulary spells bytes.
 *
 * @param where Names the file in errors.
 * @throws {SpielError} kind "data" when a part is missing or not supported.
 */
export function exactTokenizerJson(
  json: Json,
  where: string,
): { json: Json; spelling: TokenSpelling } {
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
  const exact: Json = {
    added_tokens: [],
    normalizer: null,
    post_processor: null,
    decoder: null,
    ...json,
    pre_tokenizer: exactPreTokenizer(json.pre_tokenizer ?? null, where),
  };
  return { json: exact, spelling: spellingOf(json, where) };
}

function spellingOf(json: Json, where: string): TokenSpelling {
  const types = new Set([...partTypes(json.decoder), ...partTypes(json.pre_tokenizer)]);
  if (types.has("ByteLevel")) return "byte_level";
  if (types.has("ByteFallback") || types.has("Metaspace")) return "metaspace";
  throw new SpielError(
    "data",
    `${where}: neither the decoder nor the pre_tokenizer is ByteLevel, ByteFallback or Metaspace, ` +
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
