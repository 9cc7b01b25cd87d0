/** The self-test of an exported model: what was written reads and answers as the model that it was made from. */

import type { Batch, Engine } from "../engine/engine.ts";
import { SpielError } from "../errors.ts";
import type { ModelSource } from "../model/source.ts";
import type { SavedDtype } from "../model/save.ts";
import { evaluate, type HeldOutBatches } from "../train/evaluate.ts";
import { IGNORE } from "../engine/protocol.gen.ts";
import type { GgufType } from "./gguf_types.ts";
import { alikeInWords, tokensOf, type Words, wordsOf } from "./words.ts";

/** Tokens of the conversation that are computed, at most. */
export const TESTED_TOKENS = 128;

/**
 * How far logits may be off by type: the root mean square of the differences, where the spread of all logits is 1. Of types
 * that round coarsely this only tells a model from another; what they cost is told in loss.
 */
const BOUNDS: Readonly<Record<SavedDtype | GgufType, number>> = {
  f32: 1e-3,
  f16: 0.02,
  bf16: 0.1,
  q8_0: 0.5,
  q4_0: 1,
  q4_k: 1,
};

/** Loss in nats a token before and after. */
export interface LossChange {
  /** Of the trained model. */
  readonly before: number;
  /** Of what was written. */
  readonly after: number;
  /** Tokens that they are the mean of. */
  readonly tokens: number;
}

/** What a self-test found. */
export interface SelfTest {
  /** Tokens of the texts that were compared, all of them alike; 0 for a model without tokenizer. */
  readonly tokens: number;
  /** The largest difference of two logits. */
  readonly largestDifference: number;
  /** The root mean square of the differences, where the spread of the logits is 1. */
  readonly difference: number;
  /** The most that `difference` may be. */
  readonly bound: number;
  /** Share of the positions with the same likeliest token, 0 to 1. */
  readonly sameChoice: number;
  /** On the conversation. */
  readonly conversation: LossChange;
  /** On the examples given; absent without. */
  readonly data?: LossChange;
}

/** Examples to measure the loss on. */
export interface TestData {
  readonly batches: HeldOutBatches;
}

/** What a model says to the conversation. */
export interface Answers {
  /** What its tokenizer makes of texts; null where it has none. */
  readonly words: Words | null;
  /** What was computed, [T]. */
  readonly tokens: Uint32Array;
  /** [T, V] */
  readonly logits: Float32Array;
  /** Per token of the conversation. */
  readonly loss: number;
  /** Of the examples; null without. */
  readonly data: { readonly loss: number; readonly targetTokens: number } | null;
}

/** Asks the model in an engine. `tokens` are those of its own conversation unless given. */
export async function answersOf(
  engine: Engine,
  source: ModelSource,
  data: TestData | null,
  { words = wordsOf(source), tokens = testedTokens(words, source) }: {
    words?: Words | null;
    tokens?: Uint32Array;
  } = {},
): Promise<Answers> {
  const { loss, output } = await engine.forward(batchOf(tokens), "logits");
  const measured = data === null ? null : await evaluate(engine, data.batches);
  return {
    words,
    tokens,
    logits: output,
    loss: (loss.sum ?? NaN) / loss.targetTokens,
    data: measured,
  };
}

function testedTokens(words: Words | null, { config }: ModelSource): Uint32Array {
  const limit = Math.min(TESTED_TOKENS, config.max_position_embeddings);
  if (words !== null) return words.conversation.slice(0, limit);
  // Any ids will do where nobody can read them.
  return Uint32Array.from({ length: limit }, (_, i) => (i * 7919 + 1) % config.vocab_size);
}

function batchOf(tokens: Uint32Array): Batch {
  const targets = new Uint32Array(tokens.length).fill(IGNORE, -1);
  targets.set(tokens.subarray(1));
  return { tokens, targets, cuSeqlens: Uint32Array.of(0, tokens.length) };
}

/**
 * Compares the tokenizers of two models, without their weights.
 *
 * @throws {SpielError} kind "data" naming what is otherwise in the one that was written.
 */
export function compareWords(before: Words | null, after: Words | null): void {
  if (before === null && after === null) return;
  const otherwise = before === null || after === null
    ? "one of them has no tokenizer"
    : alikeInWords(before, after);
  if (otherwise === null) return;
  throw new SpielError(
    "data",
    `Self-test failed: what would be saved reads text otherwise than the model: ${otherwise}; ` +
      "--no-self-test saves it all the same",
  );
}

/**
 * Compares what two models answer.
 *
 * @throws {SpielError} kind "numeric" with the figures when they are further apart than `type` explains.
 */
export function compareAnswers(
  before: Answers,
  after: Answers,
  type: SavedDtype | GgufType,
): SelfTest {
  const { largestDifference, difference, sameChoice } = distance(before, after);
  const bound = BOUNDS[type];
  const count = before.tokens.length - 1;
  const test: SelfTest = {
    tokens: before.words === null ? 0 : tokensOf(before.words),
    largestDifference,
    difference,
    bound,
    sameChoice,
    conversation: { before: before.loss, after: after.loss, tokens: count },
    ...(before.data === null || after.data === null ? {} : {
      data: {
        before: before.data.loss,
        after: after.data.loss,
        tokens: before.data.targetTokens,
      },
    }),
  };
  // Written so that a NaN fails too.
  if (difference <= bound) return test;
  throw new SpielError(
    "numeric",
    `Self-test failed: the logits of what would be saved differ by ${
      difference.toPrecision(3)
    } of ` +
      `their spread, more than the ${bound} that ${type} explains (loss ${
        before.loss.toFixed(4)
      } → ` +
      `${after.loss.toFixed(4)}); --no-self-test saves it all the same`,
  );
}

/** How far two sets of logits are apart. */
function distance({ logits, tokens }: Answers, { logits: others }: Answers) {
  const width = logits.length / tokens.length;
  let [sum, squares, off, largestDifference, same] = [0, 0, 0, 0, 0];
  for (let row = 0; row < tokens.length; row++) {
    let [best, otherBest] = [row * width, row * width];
    for (let i = row * width; i < (row + 1) * width; i++) {
      const [x, y] = [logits[i]!, others[i]!];
      sum += x;
      squares += x * x;
      off += (x - y) ** 2;
      largestDifference = Math.max(largestDifference, Math.abs(x - y));
      if (x > logits[best]!) best = i;
      if (y > others[otherBest]!) otherBest = i;
    }
    if (best === otherBest) same++;
  }
  const mean = sum / logits.length;
  const spread = Math.sqrt(squares / logits.length - mean * mean);
  const difference = Math.sqrt(off / logits.length) / spread;
  return { largestDifference, difference, sameChoice: same / tokens.length };
}
