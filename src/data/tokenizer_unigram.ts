/** The Unigram model: of all ways to spell a word by pieces, the one of the highest score. */
import { SpielError } from "../errors.ts";
import type { Segment, SegmentWord } from "./tokenizer_pieces.ts";

/** How much worse than the worst piece an unknown character is. */
const UNKNOWN_PENALTY = 10;

/** What a Unigram model in tokenizer.json says. */
export interface UnigramModel {
  /** Text and score of the pieces, by id. */
  vocab: readonly (readonly [text: string, score: number])[];
  /** Stands for characters that no piece spells; null when there is none. */
  unk_id: number | null;
  /** Whether unknown characters are spelled by their bytes. */
  byte_fallback: boolean;
}

/**
 * Checks the `model` of a tokenizer.json.
 *
 * @param where Names the file in errors.
 * @throws {SpielError} kind "data" naming the field.
 */
export function readUnigramModel(model: Record<string, unknown>, where: string): UnigramModel {
  const { vocab, unk_id = null, byte_fallback } = model;
  if (!Array.isArray(vocab) || vocab.length === 0) {
    throw new SpielError("data", `${where}: "vocab" of the Unigram model is not a list of pieces`);
  }
  const wrong = vocab.findIndex((piece) =>
    !Array.isArray(piece) || typeof piece[0] !== "string" || typeof piece[1] !== "number"
  );
  if (wrong >= 0) {
    throw new SpielError("data", `${where}: vocab[${wrong}] is not a piece and its score`);
  }
  const isUnknown = typeof unk_id === "number" && Number.isInteger(unk_id);
  if (unk_id !== null && !(isUnknown && unk_id >= 0 && unk_id < vocab.length)) {
    throw new SpielError(
      "data",
      `${where}: unk_id is ${JSON.stringify(unk_id)}; expected null or an id below ${vocab.length}`,
    );
  }
  return { vocab, unk_id: isUnknown ? unk_id : null, byte_fallback: byte_fallback === true };
}

/** A function that spells words by the pieces of a model. */
export function unigramSegmenter({ vocab, unk_id, byte_fallback }: UnigramModel): SegmentWord {
  const ids = new Map<string, number>();
  let lowest = Infinity;
  vocab.forEach(([text, score], id) => {
    ids.set(text, id);
    lowest = Math.min(lowest, score);
  });
  const lengths = [...new Set(vocab.map(([text]) => text.length))].filter((length) => length > 0)
    .sort((a, b) => a - b);
  const byteIds = byte_fallback ? bytePieces(ids) : null;

  return (word) => {
    // Per position: the best score of a way there, and the last piece of that way.
    const scores = new Float64Array(word.length + 1).fill(-Infinity);
    const froms = new Int32Array(word.length + 1);
    const pieces = new Int32Array(word.length + 1);
    scores[0] = 0;
    const offer = (from: number, to: number, id: number, score: number) => {
      if (!(scores[from]! + score > scores[to]!)) return;
      scores[to] = scores[from]! + score;
      froms[to] = from;
      pieces[to] = id;
    };
    for (let at = 0; at < word.length;) {
      const next = at + (word.codePointAt(at)! > 0xFFFF ? 2 : 1);
      let isKnown = false;
      for (const length of lengths) {
        if (at + length > word.length) break;
        const id = ids.get(word.slice(at, at + length));
        if (id === undefined) continue;
        offer(at, at + length, id, id === unk_id ? lowest - UNKNOWN_PENALTY : vocab[id]![1]);
        isKnown ||= at + length === next;
      }
      if (!isKnown) offer(at, next, -1, lowest - UNKNOWN_PENALTY);
      at = next;
    }
    const segments: Segment[] = [];
    for (let to = word.length; to > 0; to = froms[to]!) {
      segments.push({ id: pieces[to]!, from: froms[to]!, to });
    }
    return spellUnknown(segments.reverse(), word, unk_id, byteIds);
  };
}

function bytePieces(ids: ReadonlyMap<string, number>): (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) => {
    return ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  });
}

/** Gives runs of unknown characters (id -1) their bytes' ids, or one unknown token for each run. */
function spellUnknown(
  segments: readonly Segment[],
  word: string,
  unknown: number | null,
  byteIds: readonly (number | undefined)[] | null,
): Segment[] {
  const spelled: Segment[] = [];
  for (let i = 0; i < segments.length; i++) {
    const first = segments[i]!;
    if (first.id >= 0) {
      spelled.push(first);
      continue;
    }
    while (segments[i + 1]?.id === -1) i++;
    const run = { from: first.from, to: segments[i]!.to };
    const bytes = byteIds === null ? null : byteSegments(word, run, byteIds);
    if (bytes !== null) spelled.push(...bytes);
    else if (unknown !== null) spelled.push({ id: unknown, ...run });
  }
  return spelled;
}

/** Every byte of a range as a token of its own; null when one has none. */
function byteSegments(
  word: string,
  { from, to }: { from: number; to: number },
  byteIds: readonly (number | undefined)[],
): Segment[] | null {
  const segments: Segment[] = [];
  let at = from;
  for (const character of word.slice(from, to)) {
    for (const byte of new TextEncoder().encode(character)) {
      const id = byteIds[byte];
      if (id === undefined) return null;
      segments.push({ id, from: at, to: at + character.length });
    }
    at += character.length;
  }
  return segments;
}
