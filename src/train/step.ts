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

/**
 * Makes one update from a step's micro-batches, and reads what it came to.
 *
 * @throws {SpielError} `numeric` when a loss or the gradient is not finite, here or in a step before that was not
 * read; what is trained is then as it was before that step.
 */
export async function makeStep(
  engine: Engine,
  request: StepRequest,
  options: StepOptions,
): Promise<StepResult> {
  const { step, batches, learningRate } = request;
  let loss = 0;
  for (const [batch, lossScale] of scaledBatches(batches, options)) {
    const { sum } = await engine.forwardBackward(batch, lossScale);
    if (sum === null) {
      // The cause may be a step before.
      await checkUpdates(engine, learningRate);
      throw notFinite("loss", step, learningRate, batch.origins);
    }
    loss += sum * lossScale;
  }
  await update(engine, request, options);
  const gradNorm = await checkUpdates(engine, learningRate, request);
  return { loss, gradNorm, ...sizeOf(batches) };
}

/** As `makeStep`, without waiting for what it comes to: the next `makeStep` or `checkUpdates` tells a failure. */
export async function makeStepUnread(
  engine: Engine,
  request: StepRequest,
  options: StepOptions,
): Promise<StepSize> {
  for (const [batch, lossScale] of scaledBatches(request.batches, options)) {
    await engine.addGradients(batch, lossScale);
  }
  await update(engine, request, options);
  return sizeOf(request.batches);
}

/**
 * Waits for the updates so far.
 *
 * @param last The last step, whose examples are named if it failed.
 * @returns The norm of the last update's gradients.
 * @throws {SpielError} `numeric` when the gradients of one were not finite.
 */
export async function checkUpdates(
  engine: Engine,
  learningRate: number,
  last?: StepRequest,
): Promise<number> {
  const { gradNorm, failedStep } = await engine.readUpdate();
  if (failedStep !== null || gradNorm === null) {
    const step = failedStep ?? last?.step ?? 0;
    const batches = step === last?.step ? last.batches : [];
    throw notFinite("gradient", step, learningRate, batches.flatMap(({ origins = [] }) => origins));
  }
  return gradNorm;
}

async function update(
  engine: Engine,
  { step, learningRate }: StepRequest,
  { lossNormalization: _, ...numbers }: StepOptions,
): Promise<void> {
  await engine.optimizerStep({ ...numbers, learningRate, step });
}

/** Micro-batches with their weight, known before the first backward, so that accumulation equals one big batch. */
function scaledBatches(
  batches: readonly TrainingBatch[],
  { lossNormalization }: StepOptions,
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
  return new SpielError(
    "numeric",
    `The ${what} of step ${step} is not finite ${rateWords(learningRate)}${where}; ` +
      "try a lower learning rate or look at these examples",
  );
}

function sum<Item>(items: readonly Item[], amount: (item: Item) => number): number {
  return items.reduce((total, item) => total + amount(item), 0);
}
