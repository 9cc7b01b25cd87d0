/**
 * Text to ids for vocabularies of SentencePiece's kind, with the place of every token. The library that does this for
 * byte-level vocabularies does not follow the word borders of Metaspace, compiled normalizers and the byte fallback
 * of Unigram, and gives no places.
 */
import { type AddedToken, addedTokenFinder, type FoundToken } from "./tokenizer_added.ts";
import type { TokenOffsets } from "./token_offsets.ts";
import { SourceText } from "./token_source.ts";
import type { Normalize } from "./tokenizer_normalizer.ts";
import type { CutWords } from "./tokenizer_words.ts";

/** A token of a word, and the UTF-16 units of the word that it stands for. */
export interface Segment {
  id: number;
  from: number;
  to: number;
}

/** Spells a word by tokens. */
export type SegmentWord = (word: string) => Segment[];

/** What tokenizer.json is made of, compiled. */
export interface PieceTokenizerParts {
  added: readonly AddedToken[];
  normalize: Normalize;
  cutWords: CutWords;
  segment: SegmentWord;
}

/** Tokenises text, without the tokens that begin and end it. */
export class PieceTokenizer {
  readonly #parts: PieceTokenizerParts;
  readonly #findRaw: (text: string) => FoundToken[];
  readonly #findNormalized: (text: string) => FoundToken[];
  /** How added tokens that are sought in the normalised text are spelled there, by id. */
  readonly spellings = new Map<number, string>();

  constructor(parts: PieceTokenizerParts) {
    this.#parts = parts;
    for (const { id, content, normalized } of parts.added) {
      if (normalized) this.spellings.set(id, parts.normalize(SourceText.of(content)).text);
    }
    const finder = (normalized: boolean) =>
      addedTokenFinder(
        parts.added.filter((token) => token.normalized === normalized)
          .map((token) => ({ token, spelling: this.spellings.get(token.id) ?? token.content })),
      );
    this.#findRaw = finder(false);
    this.#findNormalized = finder(true);
  }

  /** The ids, and where each token lies in the text. */
  encode(text: string): { ids: number[] } & TokenOffsets {
    const { normalize, cutWords, segment } = this.#parts;
    const ids: number[] = [];
    const starts: number[] = [];
    const ends: number[] = [];
    const push = (source: SourceText, id: number, from: number, to: number) => {
      const { start, end } = source.range(from, to);
      ids.push(id);
      starts.push(start);
      ends.push(end);
    };
    eachPart(SourceText.of(text.toWellFormed()), this.#findRaw, push, (section) => {
      eachPart(normalize(section), this.#findNormalized, push, (words) => {
        for (const word of cutWords(words)) {
          for (const { id, from, to } of segment(word.text)) push(word, id, from, to);
        }
      });
    });
    return { ids, starts: Uint32Array.from(starts), ends: Uint32Array.from(ends) };
  }
}

/** Hands on, in order, the added tokens in a text and what lies between them. */
function eachPart(
  source: SourceText,
  find: (text: string) => FoundToken[],
  onToken: (source: SourceText, id: number, from: number, to: number) => void,
  onText: (source: SourceText) => void,
): void {
  let at = 0;
  const text = (to: number) => {
    if (to > at) onText(source.slice(at, to));
  };
  for (const { token, start, end, from, to } of find(source.text)) {
    text(from);
    onToken(source, token.id, start, end);
    at = to;
  }
  text(source.text.length);
}
