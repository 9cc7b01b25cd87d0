/** Tells which characters of a word each token of a BPE model stands for. */
import type { Segment, SegmentWord } from "./tokenizer_pieces.ts";
import { BYTE_TOKEN } from "./token_bytes.ts";

/** What is needed of the library's BPE model. */
export interface BytePairModel {
  tokens_to_ids: Map<string, number>;
  unk_token?: string;
  fuse_unk: boolean;
  encode(words: string[]): string[];
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
