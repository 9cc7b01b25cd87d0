/** A vocabulary of SentencePiece's kind as GGUF metadata; the way back is in `src/data/tokenizer_gguf.ts`. */

import { join } from "node:path";
import { BYTE_TOKEN } from "../data/token_bytes.ts";
import { readSentencePieceModel } from "../data/tokenizer_protobuf.ts";
import { EXTRA_SPACES, type Piece, PIECE_TYPE } from "../data/tokenizer_sentencepiece.ts";
import { SpielError } from "../errors.ts";
import type { GgufField } from "../io/gguf_writer.ts";
import { isFile, isObject } from "../io/random_access.ts";
import { mergesOf, tokenTable, type VocabularyParts } from "./gguf_byte_level.ts";

/** What llama.cpp's converter gives tokens that SentencePiece does not know. */
const ADDED_SCORE = -1000;
const SPACE = "\u2581";

/**
 * The fields of a vocabulary of pieces by their names behind `tokenizer.ggml.`. Scores are those of the folder's
 * tokenizer.model; where it has none, they put the pieces in the order of their merges.
 *
 * @throws {SpielError} kind "data" when a normalizer does more than GGUF can say.
 */
export function pieceFields(
  parts: VocabularyParts & { readonly folder: string },
): Record<string, GgufField> {
  const model = isObject(parts.json.model) ? parts.json.model : {};
  const bytes = model.byte_fallback === true;
  const { tokens, types } = tokenTable(parts, (token) => {
    if (token === model.unk_token) return PIECE_TYPE.unknown;
    return bytes && BYTE_TOKEN.test(token) ? PIECE_TYPE.byte : PIECE_TYPE.normal;
  });
  const pieces = ownPieces(parts.folder, tokens);
  pieces?.forEach(({ type }, id) => {
    if (types[id] === PIECE_TYPE.normal) types[id] = type;
  });
  const scores = pieces === null
    ? scoresByMerges(tokens, mergesOf(model))
    : tokens.map((_, id) => pieces[id]?.score ?? ADDED_SCORE);
  const { prefix, removesExtraSpaces } = preparationOf(parts);
  return {
    model: { type: "string", value: "llama" },
    pre: { type: "string", value: "default" },
    tokens: { type: "strings", value: tokens },
    scores: { type: "f32s", value: scores },
    token_type: { type: "i32s", value: types },
    add_space_prefix: { type: "bool", value: prefix },
    ...(removesExtraSpaces ? { remove_extra_whitespaces: { type: "bool", value: true } } : {}),
  };
}

/** The pieces of the folder's tokenizer.model, where it has one that begins as the vocabulary does. */
function ownPieces(folder: string, tokens: readonly string[]): readonly Piece[] | null {
  const path = join(folder, "tokenizer.model");
  if (!isFile(path)) return null;
  const { pieces } = readSentencePieceModel(path).vocabulary;
  return pieces.every(({ text }, id) => tokens[id] === text) ? pieces : null;
}

/** SentencePiece joins what has the highest score; a merge of lower rank is made first. */
function scoresByMerges(
  tokens: readonly string[],
  merges: readonly (readonly [string, string])[],
): number[] {
  const ranks = new Map<string, number>();
  merges.forEach(([left, right], rank) => {
    const joined = left + right;
    if (!ranks.has(joined)) ranks.set(joined, rank);
  });
  return tokens.map((token) => {
    const rank = ranks.get(token);
    return rank === undefined ? ADDED_SCORE - merges.length : -rank;
  });
}

/** How text is prepared, as far as GGUF can say it. */
function preparationOf({ json, where }: VocabularyParts) {
  let prefix = false;
  let removesExtraSpaces = false;
  const refuse = (part: unknown) =>
    new SpielError(
      "data",
      `${where}: GGUF files cannot say ${
        JSON.stringify(part)
      }, so its text would be read otherwise`,
    );
  for (const step of [...stepsOf(json.normalizer), ...stepsOf(json.pre_tokenizer)]) {
    const pattern = isObject(step.pattern) ? step.pattern : {};
    switch (step.type) {
      case "Prepend":
        if (step.prepend !== SPACE) throw refuse(step);
        prefix = true;
        break;
      case "Metaspace":
        // Its other schemes put no space before another space or behind a special token, where add_space_prefix does.
        if ((step.replacement ?? SPACE) !== SPACE || !isUnprefixed(step)) throw refuse(step);
        break;
      case "Replace":
        if (pattern.String === " " && step.content === SPACE) break;
        if (!EXTRA_SPACES.some(([regex, by]) => pattern.Regex === regex && step.content === by)) {
          throw refuse(step);
        }
        removesExtraSpaces = true;
        break;
      case "Split":
        // Nothing is left of what it would cut at, once spaces are spelled.
        if (pattern.String !== " ") throw refuse(step);
        break;
      default:
        throw refuse(step);
    }
  }
  return { prefix, removesExtraSpaces };
}

function isUnprefixed({ prepend_scheme, add_prefix_space }: Record<string, unknown>): boolean {
  return prepend_scheme === undefined ? add_prefix_space === false : prepend_scheme === "never";
}

function stepsOf(part: unknown): Record<string, unknown>[] {
  if (!isObject(part)) return [];
  const inner = part.normalizers ?? part.pretokenizers;
  return part.type === "Sequence" && Array.isArray(inner) ? inner.flatMap(stepsOf) : [part];
}
