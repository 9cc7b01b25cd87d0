/** Generates tokens one by one over the engine's key-value cache, and text as it becomes whole. */

import type { Engine } from "../engine/engine.ts";
import { checkSampling, drawAt, sampleToken, type SamplingOptions } from "./sampling.ts";

/** How to generate. */
export interface GenerationOptions extends SamplingOptions {
  /** Most tokens to generate. */
  readonly maxNewTokens: number;
  /** Ids that end the generation; they are not yielded. */
  readonly stopTokens: readonly number[];
  /** Seed of the draws; the same seed gives the same tokens. */
  readonly seed: number;
}

/**
 * Generates tokens after a prompt. The engine takes no other generation meanwhile.
 *
 * @param prompt Token ids, at least one.
 * @param signal Ends the generation before the next token.
 * @throws {SpielError} `usage` for numbers that tokens cannot be chosen by.
 */
export async function* generateTokens(
  engine: Engine,
  prompt: Uint32Array,
  options: GenerationOptions,
  signal?: AbortSignal,
): AsyncGenerator<number, void, void> {
  const { maxNewTokens, stopTokens, seed } = options;
  checkSampling(options);
  if (maxNewTokens === 0) return;
  await engine.beginGeneration(prompt.length + maxNewTokens - 1);
  try {
    let logits = await engine.feed(prompt);
    for (let count = 0; !signal?.aborted; count++) {
      const token = sampleToken(logits, options, drawAt(seed, count));
      if (stopTokens.includes(token)) return;
      yield token;
      if (count + 1 === maxNewTokens || signal?.aborted) return;
      logits = await engine.feed(Uint32Array.of(token));
    }
  } finally {
    await engine.endGeneration();
  }
}

/**
 * Turns a stream of tokens into pieces of text. A character whose bytes lie in several tokens comes out whole, and
 * spaces between words stay where decoding strips them at a text's start.
 */
export async function* decodeStream(
  tokens: AsyncIterable<number>,
  decode: (ids: readonly number[]) => string,
): AsyncGenerator<string, void, void> {
  /** Tokens already shown that give the next ones their context, then tokens not shown yet. */
  let window: number[] = [];
  let shown = 0;
  for await (const token of tokens) {
    window.push(token);
    const piece = decode(window).slice(decode(window.slice(0, shown)).length);
    // An unfinished character decodes to the replacement character.
    if (piece === "" || piece.endsWith("\uFFFD")) continue;
    yield piece;
    window = window.slice(shown);
    shown = window.length;
  }
  const rest = decode(window).slice(decode(window.slice(0, shown)).length);
  if (rest !== "") yield rest;
}
