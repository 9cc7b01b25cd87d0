/** Remembers how a BPE model spells words: texts are made of few words, over and over. */
import type { BytePairModel } from "./tokenizer_bpe.ts";

type Json = Record<string, unknown>;

/** Words that are remembered; then all are forgotten, which costs less than to know which are in use. */
const MOST_WORDS = 1 << 16;

/** Longer words hardly come again. */
const MOST_LENGTH = 64;

/**
 * A pre-tokenizer without its last step, where that only spells bytes as characters, so that `rememberWords` can spell
 * those words that it does not know; else null.
 */
export function withoutSpelling(part: unknown): { part: unknown } | null {
  if (isSpelling(part)) return { part: null };
  const steps = (part as Json | null)?.pretokenizers;
  if (!Array.isArray(steps) || (part as Json).type !== "Sequence") return null;
  const last = withoutSpelling(steps.at(-1));
  if (last === null) return null;
  const rest = [...steps.slice(0, -1), ...(last.part === null ? [] : [last.part])];
  return { part: rest.length === 0 ? null : { ...part as Json, pretokenizers: rest } };
}

function isSpelling(part: unknown): boolean {
  const { type, use_regex, add_prefix_space } = (part ?? {}) as Json;
  return type === "ByteLevel" && use_regex === false && add_prefix_space === false;
}

/**
 * Makes a model take words as they are in the text, and remember their tokens.
 *
 * @param spell Spells a word as the model takes it.
 */
export function rememberWords(model: BytePairModel, spell: (word: string) => string): void {
  const encode = model.encode.bind(model);
  const known = new Map<string, string[]>();
  model.encode = (words) => {
    const tokens: string[] = [];
    for (const word of words) {
      let spelled = known.get(word);
      if (spelled === undefined) {
        spelled = encode([spell(word)]);
        if (known.size === MOST_WORDS) known.clear();
        if (word.length <= MOST_LENGTH) known.set(word, spelled);
      }
      for (const token of spelled) tokens.push(token);
    }
    return tokens;
  };
}
