/** A model's own tokenizer, checked against it. */

import { checkVocabulary, loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import type { ModelSource } from "./source.ts";

/** The model's own tokenizer, and the ids that end a generation. */
export function tokenizerOf(source: ModelSource): { tokenizer: Tokenizer; stopTokens: number[] } {
  const tokenizer = loadTokenizer(source.path);
  checkVocabulary(tokenizer, source.config.vocab_size);
  const stopTokens = [...new Set([...source.specialTokens.eos, ...tokenizer.eosTokenIds])];
  return { tokenizer, stopTokens };
}
