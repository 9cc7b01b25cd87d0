/** One optimiser step: its micro-batches forward and backward, the gradient's norm, the update. */

import type { Batch, Engine } from "../engine/engine.ts";
import { SpielError } from "../errors.ts";
import { rateWords } from "./divergence.ts";

/** A micro-batch of training data. */
export interface TrainingBatch extends Batch {
  /** Positions whose target is trained; at least one. */
  readonly targetTokens: number;
  /** Where the sequences come from, such as `train.jsonl:12`, for messages. */
  readonly origins?: readonly string[];
}

/** Training data as an endless sequence of micro-batches, a pure function of the index. */
export interface BatchSource {
  /** Micro-batch `index`, counted over all epochs. */
  microBatch(index: number): TrainingBatch | Promise<TrainingBatch>;
  /** Passes over the data before micro-batch `index`, with a fraction. */
  epochAt(index: number): number;
}

/** How micro-batches weigh in a step. */
export type LossNormalization =
  /** By their targets: the gradient of the mean over all targets of the step. */
  | "token"
  /** Equally: the mean of the micro-batches' means, as in the reference. */
  | "micro_batch";

/** The numbers of an update that do not change over a run. */
export interface StepOptions {
  /** How micro-batches weigh. */
  readonly lossNormalization: LossNormalization;
  /** The global gradient norm above which gradients are scaled down; 0 is off. */
  readonly maxGradNorm: number;
  /** Decoupled, of deltas towards zero and of weights. */
  readonly weightDecay: number;
  /** AdamW's decay of the first moment. */
  readonly beta1: number;
  /** AdamW's decay of the second moment. */
  readonly beta2: number;
  /** The optimiser's guard against division by zero. */
  readonly epsilon: number;
}

/** What a step did. */
export interface StepResult {
  /** Loss as it is normalised for the gradient, in nats. */
  readonly loss: number;
  /** 2-norm of the gradient before clipping. */
  readonly gradNorm: number;
  /** Tokens of all micro-batches. */
  readonly tokens: number;
  /** Targets of all micro-batches. */
  readonly targetTokens: number;
}

/**
 * Makes one update from a step's micro-batches.
 *
 * @param step The update's number, from 1.
 * @throws {SpielError} `numeric` when a loss or the gradient is not finite; nothing is then updated.
 */
export async function makeStep(
  engine: Engine,
  batches: readonly TrainingBatch[],
  step: number,
  learningRate: number,
  options: StepOptions,
): Promise<StepResult> {
  const targetTokens = sum(batches, (batch) => batch.targetTokens);
  let loss = 0;
  for (const batch of batches) {
    // Known before the first backward, so that accumulation equals one big batch.
    const lossScale = options.lossNormalization === "token"
      ? 1 / targetTokens
      : 1 / (batch.targetTokens * batches.length);
    const { sum } = await engine.forwardBackward(batch, lossScale);
    if (sum === null) throw notFinite("loss", step, learningRate, batch.origins);
    loss += sum * lossScale;
  }
  const gradNorm = await engine.gradNorm();
  if (gradNorm === null) {
    throw notFinite("gradient", step, learningRate, batches.flatMap(({ origins = [] }) => origins));
  }
  const { lossNormalization: _, maxGradNorm, ...update } = options;
  const gradScale = clippingFactor(gradNorm, maxGradNorm);
  await engine.optimizerStep({ ...update, learningRate, gradScale, step });
  return { loss, gradNorm, tokens: sum(batches, ({ tokens }) => tokens.length), targetTokens };
}

/** The factor that PyTorch's `clip_grad_norm_` would use, its epsilon included. */
function clippingFactor(norm: number, maxNorm: number): number {
  return maxNorm === 0 ? 1 : Math.min(1, maxNorm / (norm + 1e-6));
}

function notFinite(
  what: string,
  step: number,
  learningRate: number,
  origins: readonly string[] = [],
): SpielError {
  const shown = origins.slice(0, 8).join(", ") + (origins.length > 8 ? ", ..." : "");
  const where = shown === "" ? "" : ` (examples ${shown})`;
  return new SpielError(
    "numeric",
    `The ${what} of step ${step} is not finite ${rateWords(learningRate)}${where}; ` +
      "try a lower learning rate or look at these examples",
  );
}

function sum<Item>(items: readonly Item[], amount: (item: Item) => number): number {
  return items.reduce((total, item) => total + amount(item), 0);
}
