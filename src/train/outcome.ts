/** What the evaluations of a run say of its result. */

import type { BestEvaluation } from "./position.ts";

/** The scores that a result is judged by. */
export interface JudgedScores {
  /** Mean cross-entropy per target, in nats. */
  readonly loss: number;
  /** Share of the questions answered exactly; absent where none were asked. */
  readonly exactMatch?: number | undefined;
}

/**
 * The sentence for a result that is worse than the untrained model; null for every other.
 *
 * A higher loss with more right answers is no worse: the answers are what was wanted.
 */
export function worseThanUntrained(
  before: JudgedScores | undefined,
  after: JudgedScores | undefined,
  best: BestEvaluation | null,
): string | null {
  if (before === undefined || after === undefined || after.loss <= before.loss) return null;
  if ((after.exactMatch ?? 0) > (before.exactMatch ?? 0)) return null;
  const losses = `${before.loss.toFixed(4)} before training, ${after.loss.toFixed(4)} now`;
  const once = best === null || best.step === 0
    ? "no evaluation was better than the untrained model's"
    : `it was best at step ${best.step}, ${best.loss.toFixed(4)}`;
  return `The result is worse than the untrained model: held-out loss ${losses}; ${once}; ` +
    "try a lower learning rate or fewer steps";
}
