/** The library's BPE model: what merges words in it, and which characters of a word each of its tokens stands for. */
import type { AddedToken } from "./tokenizer_added.ts";
import type { BytePairs } from "./tokenizer_merges.ts";
import type { Segment, SegmentWord } from "./tokenizer_pieces.ts";
import { BYTE_TOKEN } from "./token_bytes.ts";

/** What is needed of the library's BPE model. */
export interface BytePairModel {
  tokens_to_ids: Map<string, number>;
  /** By id. */
  vocab: string[];
  unk_token?: string;
  unk_token_id?: number;
  end_of_word_suffix?: string;
  fuse_unk: boolean;
  /** Joins the characters of a word. */
  bpe?(word: string): string[];
  encode(words: string[]): string[];
}

/** The JSON of a model with no vocabulary, to be given one by `useBytePairs`: the library takes its time to read one. */
export function withoutVocabulary(model: unknown): Record<string, unknown> {
  const source = model as Record<string, unknown>;
  const kept = Object.keys(source).filter((key) => !["vocab", "merges"].includes(key));
  return { ...Object.fromEntries(kept.map((key) => [key, source[key]])), vocab: {}, merges: [] };
}

/** Gives a model without vocabulary its own, with the added tokens. */
export function useBytePairs(
  model: BytePairModel,
  pairs: BytePairs,
  added: readonly AddedToken[],
): void {
  model.tokens_to_ids = new Map(pairs.ids);
  model.vocab = [...pairs.tokens];
  const unknown = pairs.ids.get(model.unk_token ?? "");
  if (unknown !== undefined) model.unk_token_id = unknown;
  for (const { id, content } of added) {
    model.tokens_to_ids.set(content, id);
    model.vocab[id] = content;
  }
  const suffix = model.end_of_word_suffix ?? "";
  model.bpe = (word) => {
    const parts = Array.from(word);
    if (parts.length > 0) parts[parts.length - 1] += suffix;
    return pairs.join(parts);
  };
}

/**
 * A function that spells words by the tokens of a model: pieces of the word, bytes of a character that no piece
 * spells, or one unknown token for such a character.
 */
export function bytePairSegmenter(model: BytePairModel): SegmentWord {
  const { tokens_to_ids: ids, unk_token: unknown } = model;
  return (word) => {
    const segments: Segment[] = [];
    let at = 0;
    /** Bytes of the character at `at` that tokens have spelled. */
    let spelled = 0;
    for (const token of model.encode([word])) {
      const id = ids.get(token)!;
      if (spelled === 0 && word.startsWith(token, at)) {
        segments.push({ id, from: at, to: at += token.length });
        continue;
      }
      // Without an unknown token, characters that no token spells are left out.
      if (token !== unknown && !BYTE_TOKEN.test(token)) {
        at = word.indexOf(token, at) + token.length;
        segments.push({ id, from: at - token.length, to: at });
        continue;
      }
      const from = at;
      const character = String.fromCodePoint(word.codePointAt(at)!);
      const to = at + character.length;
      if (token === unknown) {
        at = to;
        const last = segments.at(-1);
        if (model.fuse_unk && last?.id === id) last.to = to;
        else segments.push({ id, from, to });
        continue;
      }
      spelled++;
      segments.push({ id, from, to });
      if (spelled < new TextEncoder().encode(character).length) continue;
      at = to;
      spelled = 0;
    }
    return segments;
  };
}
