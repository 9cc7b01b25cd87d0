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

/** What a step is made from. */
export interface StepSize {
  /** Tokens of all micro-batches. */
  readonly tokens: number;
  /** Targets of all micro-batches. */
  readonly targetTokens: number;
}

/** What a step came to. */
export interface StepResult extends StepSize {
  /** Loss as it is normalised for the gradient, in nats. */
  readonly loss: number;
  /** 2-norm of the gradient before clipping. */
  readonly gradNorm: number;
}

/** The micro-batches of a step from `first` on: fewer where the run's last ones are reached. */
export async function takeBatches(
  source: BatchSource,
  first: number,
  { gradientAccumulationSteps, totalMicroBatches = Infinity }: {
    readonly gradientAccumulationSteps: number;
    readonly totalMicroBatches?: number;
  },
): Promise<TrainingBatch[]> {
  const end = Math.min(first + gradientAccumulationSteps, totalMicroBatches);
  const batches: TrainingBatch[] = [];
  for (let index = first; index < end; index++) batches.push(await source.microBatch(index));
  return batches;
}

/** A step's micro-batches and numbers. */
export interface StepRequest {
  /** The update's number, from 1. */
  readonly step: number;
  /** At least one. */
  readonly batches: readonly TrainingBatch[];
  /** That of this update. */
  readonly learningRate: number;
}

/** Makes one update from a step's micro-batches, without waiting for what it comes to, which `readStep` tells. */
export async function makeStep(
  engine: Engine,
  { step, batches, learningRate }: StepRequest,
  { lossNormalization, ...numbers }: StepOptions,
): Promise<StepSize> {
  for (const [batch, lossScale] of scaledBatches(batches, lossNormalization)) {
    await engine.forwardBackward(batch, lossScale);
  }
  await engine.optimizerStep({ ...numbers, learningRate, step });
  return sizeOf(batches);
}

/**
 * Waits for the last step that was made.
 *
 * @param last That step, whose examples are named if it failed.
 * @throws {SpielError} `numeric` when its loss or gradient is not finite, or that of a step before which nobody waited
 * for; what is trained is then as it was before that step.
 */
export async function readStep(engine: Engine, last: StepRequest): Promise<StepResult> {
  const { loss, gradNorm, failedStep } = await engine.readUpdate();
  const { batches, learningRate } = last;
  if (failedStep !== null && failedStep !== last.step) {
    throw notFinite("gradient", failedStep, learningRate);
  }
  if (failedStep !== null || loss === null || gradNorm === null) {
    const origins = batches.flatMap(({ origins = [] }) => origins);
    throw notFinite(loss === null ? "loss" : "gradient", last.step, learningRate, origins);
  }
  return { loss, gradNorm, ...sizeOf(batches) };
}

/** Micro-batches with their weight, known before the first backward, so that accumulation equals one big batch. */
function scaledBatches(
  batches: readonly TrainingBatch[],
  lossNormalization: LossNormalization,
): [TrainingBatch, number][] {
  const { targetTokens } = sizeOf(batches);
  return batches.map((batch) => [
    batch,
    lossNormalization === "token" ? 1 / targetTokens : 1 / (batch.targetTokens * batches.length),
  ]);
}

function sizeOf(batches: readonly TrainingBatch[]): StepSize {
  return {
    tokens: sum(batches, ({ tokens }) => tokens.length),
    targetTokens: sum(batches, (batch) => batch.targetTokens),
  };
}

function notFinite(
  what: string,
  step: number,
  learningRate: number,
  origins: readonly string[] = [],
): SpielError {
  const shown = origins.slice(0, 8).join(", ") + (origins.length > 8 ? ", ..." : "");
  const where = shown === "" ? "" : ` (examples ${shown})`;
  const rate = rateWords(learningRate);
  // No update has been made before the first step's numbers.
  const message = step === 1
    ? `The ${what} of step 1 is not finite before anything was trained${where}; ` +
      "look at these examples, and at the weights that the run starts from"
    : `The ${what} of step ${step} is not finite ${rate}${where}; ` +
      "try a lower learning rate or look at these examples";
  return new SpielError("numeric", message);
}

function sum<Item>(items: readonly Item[], amount: (item: Item) => number): number {
  return items.reduce((total, item) => total + amount(item), 0);
}
