/** A model's own tokenizer, checked against it, and the tokens that end what the model writes. */

import { ChatTemplate } from "../data/chat_template.ts";
import {
  checkVocabulary,
  loadTokenizer,
  makeTokenizer,
  type Tokenizer,
} from "../data/tokenizer.ts";
import { isSpielError } from "../errors.ts";
import { isFile } from "../io/random_access.ts";
import { kindOfPath } from "../io/recognise.ts";
import type { ModelSource } from "./source.ts";

/** A tokenizer, and the ids that end a generation. */
export interface ModelTokenizer {
  /** The model's own tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Ids of the ends of a text and of a turn. */
  readonly stopTokens: readonly number[];
}

/**
 * Loads the tokenizer beside a model's weights.
 *
 * @throws {SpielError} `data` when there is none, or it has ids that the model has no embedding for.
 */
export function tokenizerOf(source: ModelSource): ModelTokenizer {
  const parts = source.tokenizerParts?.();
  const tokenizer = parts === undefined ? loadTokenizer(source.path) : makeTokenizer(parts);
  checkVocabulary(tokenizer, source.config.vocab_size);
  const { eos } = source.specialTokens;
  const stopTokens = new Set([...eos, ...tokenizer.eosTokenIds, ...turnEnds(tokenizer)]);
  return { tokenizer, stopTokens: [...stopTokens] };
}

/** As `tokenizerOf`; null for a folder that has no tokenizer. */
export function tokenizerIfAny(source: ModelSource): ModelTokenizer | null {
  const files = ["tokenizer.json", "tokenizer.model"].map((name) => `${source.path}/${name}`);
  const hasOne = kindOfPath(source.path) === "gguf" || files.some(isFile);
  return hasOne ? tokenizerOf(source) : null;
}

/**
 * The special token with which the chat template ends an assistant's turn; many models name only the end of a text.
 */
export function turnEnds(tokenizer: Tokenizer): number[] {
  if (tokenizer.chatTemplate === null) return [];
  const template = new ChatTemplate(tokenizer.chatTemplate, tokenizer);
  try {
    const messages = [{ role: "user", content: "a" }, { role: "assistant", content: "b" }];
    const { text, turns } = template.renderForTraining({ messages });
    const turn = text.slice(turns[0]?.start, turns[0]?.end).trimEnd();
    const special = tokenizer.specialTokens.find((token) => turn.endsWith(token));
    return special === undefined ? [] : [...tokenizer.encode(special, { addSpecialTokens: false })];
  } catch (error) {
    // A template for other conversations than this one may name the end of its turns in the model's files.
    if (isSpielError(error)) return [];
    throw error;
  }
}
