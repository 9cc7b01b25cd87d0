/** Chooses a token from logits: the likeliest, or a draw from the likeliest share. */

import { mix } from "../data/permutation.ts";
import { SpielError } from "../errors.ts";

/** How to choose. */
export interface SamplingOptions {
  /** Divides the logits; 0 takes the likeliest token. */
  readonly temperature: number;
  /** Draws among the likeliest tokens that together reach this probability, above 0 and at most 1. */
  readonly topP: number;
}

/**
 * Checks numbers before anything is chosen by them.
 *
 * @throws {SpielError} `usage` for those that tokens cannot be chosen by.
 */
export function checkSampling({ temperature, topP }: SamplingOptions): void {
  if (!(temperature >= 0)) {
    throw new SpielError("usage", `temperature is ${temperature}; expected a number of at least 0`);
  }
  if (!(topP > 0 && topP <= 1)) {
    throw new SpielError("usage", `topP is ${topP}; expected a number above 0 and at most 1`);
  }
}

/**
 * Chooses one token. Of equal logits the lower id comes first.
 *
 * @param logits `[V]`
 * @param uniform A random number in [0, 1); not used when the temperature is 0.
 * @throws {SpielError} `numeric` when a logit is not finite.
 */
export function sampleToken(
  logits: Float32Array,
  { temperature, topP }: SamplingOptions,
  uniform: number,
): number {
  const likeliest = indexOfLargest(logits);
  if (temperature === 0) return likeliest;
  const largest = logits[likeliest] ?? 0;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const weightOf = (id: number) => weights[id] ?? 0;
  const ids = Array.from(weights.keys());
  // A full draw needs no order, and sorting a whole vocabulary is the slow part.
  if (topP < 1) ids.sort((a, b) => weightOf(b) - weightOf(a) || a - b);

  let kept = 0;
  let keptWeight = 0;
  while (kept < ids.length && keptWeight < topP * total) keptWeight += weightOf(ids[kept++]!);
  let left = uniform * keptWeight;
  for (const id of ids.slice(0, kept)) {
    left -= weightOf(id);
    if (left < 0) return id;
  }
  return likeliest;
}

/** A number in [0, 1) that depends on the seed and the token's place alone. */
export function drawAt(seed: number, count: number): number {
  // The odd constant keeps seed 0 and place 0 from being the fixed point 0 of `mix`.
  return mix(mix(seed + 0x9E3779B9) + Math.imul(count + 1, 0x9E3779B9)) / 2 ** 32;
}

/** The first index of the largest logit. One loop over all, as a callback for each takes longer than a layer does. */
function indexOfLargest(logits: Float32Array): number {
  let best = 0;
  for (let index = 0; index < logits.length; index++) {
    const logit = logits[index]!;
    if (!Number.isFinite(logit)) {
      throw new SpielError(
        "numeric",
        "The model's scores for the next token are not finite; look at its weights and its adapter",
      );
    }
    if (logit > logits[best]!) best = index;
  }
  return best;
}
