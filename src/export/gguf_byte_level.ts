/** A byte-level vocabulary as GGUF metadata; the way back is in `src/data/tokenizer_gguf.ts`. */

import type { AddedToken } from "../data/tokenizer_added.ts";
import { GPT2_PATTERN } from "../data/tokenizer_json.ts";
import { PRE_TOKENIZERS } from "../data/tokenizer_pre.ts";
import { PIECE_TYPE } from "../data/tokenizer_sentencepiece.ts";
import { SpielError } from "../errors.ts";
import type { GgufField } from "../io/gguf_writer.ts";
import { isObject } from "../io/random_access.ts";

/** A tokenizer.json. */
export interface VocabularyParts {
  /** Its content. */
  readonly json: Record<string, unknown>;
  /** Names it in errors. */
  readonly where: string;
  /** The tokens that are recognised as a whole. */
  readonly added: readonly AddedToken[];
  /** Rows of the embedding; ids beyond the tokenizer's get names of their own. */
  readonly size: number;
}

/**
 * The fields of a byte-level vocabulary by their names behind `tokenizer.ggml.`.
 *
 * @throws {SpielError} kind "data" when GGUF has no name for how text is cut into words.
 */
export function byteLevelFields(parts: VocabularyParts): Record<string, GgufField> {
  const model = isObject(parts.json.model) ? parts.json.model : {};
  const { tokens, types } = tokenTable(parts, () => PIECE_TYPE.normal);
  return {
    model: { type: "string", value: "gpt2" },
    pre: { type: "string", value: preTokenizerOf(parts, model.ignore_merges === true) },
    tokens: { type: "strings", value: tokens },
    token_type: { type: "i32s", value: types },
    merges: { type: "strings", value: mergesOf(model).map((pair) => pair.join(" ")) },
  };
}

/** The two parts of every merge, in order of rank; older files write them as one string. */
export function mergesOf({ merges }: Record<string, unknown>): (readonly [string, string])[] {
  if (!Array.isArray(merges)) return [];
  return merges.map((merge) => {
    if (typeof merge !== "string") return [String(merge[0]), String(merge[1])];
    const at = merge.indexOf(" ", 1);
    return [merge.slice(0, at), merge.slice(at + 1)];
  });
}

/** Text and type of every id. */
export function tokenTable(
  { json, added, size }: VocabularyParts,
  typeOf: (token: string) => number,
): { tokens: string[]; types: number[] } {
  const vocab = isObject(json.model) && isObject(json.model.vocab) ? json.model.vocab : {};
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  const types = new Array<number>(size).fill(PIECE_TYPE.unused);
  for (const [token, id] of Object.entries(vocab)) {
    tokens[Number(id)] = token;
    types[Number(id)] = typeOf(token);
  }
  for (const { id, content, special } of added) {
    tokens[id] = content;
    if (types[id] === PIECE_TYPE.unknown) continue;
    types[id] = special ? PIECE_TYPE.control : PIECE_TYPE.userDefined;
  }
  return { tokens, types };
}

/** The name in `PRE_TOKENIZERS` that cuts and composes as tokenizer.json says. */
function preTokenizerOf({ json, where }: VocabularyParts, ignoresMerges: boolean): string {
  const patterns = patternsOf(json.pre_tokenizer);
  const composes = composesOf(json.normalizer);
  for (const [name, pre] of PRE_TOKENIZERS) {
    if (
      JSON.stringify(pre.patterns) === JSON.stringify(patterns) &&
      (pre.composes ?? false) === composes && (pre.ignoresMerges ?? false) === ignoresMerges
    ) return name;
  }
  throw new SpielError(
    "data",
    `${where}: no pre-tokenizer of GGUF files cuts text as its normalizer and pre_tokenizer do` +
      `${ignoresMerges ? " with ignore_merges" : ""}: ` +
      `${JSON.stringify([json.normalizer ?? null, json.pre_tokenizer ?? null])}`,
  );
}

/** The patterns that cut words, one after the other; null where other means do. */
function patternsOf(part: unknown): string[] | null {
  if (!isObject(part)) return null;
  switch (part.type) {
    case "Sequence": {
      const inner = Array.isArray(part.pretokenizers) ? part.pretokenizers.map(patternsOf) : [];
      return inner.includes(null) ? null : inner.flatMap((patterns) => patterns ?? []);
    }
    case "Digits":
      return [part.individual_digits === true ? String.raw`\p{N}` : String.raw`\p{N}+`];
    case "ByteLevel":
      if (part.add_prefix_space === true) return null;
      return part.use_regex === false ? [] : [GPT2_PATTERN];
    case "Split": {
      const pattern = isObject(part.pattern) ? part.pattern.Regex : undefined;
      // A pattern that every text is a row of matches of is also written as what to keep.
      const cuts = part.invert === true
        ? part.behavior === "Removed"
        : part.behavior === "Isolated";
      return typeof pattern === "string" && cuts ? [pattern] : null;
    }
    default:
      return null;
  }
}

/** Whether characters are composed; null where a normaliser does something else. */
function composesOf(part: unknown): boolean | null {
  if (part === null || part === undefined) return false;
  if (!isObject(part)) return null;
  if (part.type === "NFC") return true;
  if (part.type !== "Sequence" || !Array.isArray(part.normalizers)) return null;
  const inner = part.normalizers.map(composesOf);
  return inner.includes(null) ? null : inner.includes(true);
}
