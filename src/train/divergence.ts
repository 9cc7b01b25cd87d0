/** Tells a run that has broken down from one that learns, and says so with what helps. */

import { isSpielError, SpielError } from "../errors.ts";
import type { StepResult } from "./step.ts";

/** Steps in a row without any gradient after which a run ends. */
const DEAD_STEPS = 3;
/** Up to this loss gradients may round to zero because there is nothing left to learn. */
const LEARNED_LOSS = 1e-3;
/** Steps in a row with an exploded loss after which a run ends; spikes are shorter. */
const EXPLODED_STEPS = 20;
/** A loss has exploded when it is as many times the first one... */
const OF_FIRST = 3;
/** ...and as many times the loss of guessing, which no run that learns comes back to. */
const OF_GUESSING = 1.5;

/** Watches the steps of a run. */
export class DivergenceGuard {
  /** Of this process: a run that was resumed is measured by where it went on. */
  #firstLoss: number | undefined;
  #deadSteps = 0;
  #explodedSteps = 0;

  /** @param vocabulary Tokens to choose from, by which the loss of guessing is known; without it no explosion is. */
  constructor(private readonly vocabulary: number = Infinity) {}

  /** Whether the last step was such that more of its kind end the run. Nothing good is to be given up for it. */
  get isSuspicious(): boolean {
    return this.#deadSteps > 0 || this.#explodedSteps > 0;
  }

  /**
   * Looks at a step that was made.
   *
   * @throws {SpielError} `numeric` when the run cannot recover.
   */
  check(step: number, { loss, gradNorm }: StepResult, learningRate: number): void {
    this.#firstLoss ??= loss;
    this.#deadSteps = gradNorm === 0 && loss > LEARNED_LOSS ? this.#deadSteps + 1 : 0;
    if (this.#deadSteps >= DEAD_STEPS) {
      throw new SpielError(
        "numeric",
        `No gradient is left: its norm is 0 in steps ${
          step - DEAD_STEPS + 1
        } to ${step}, at a loss ` +
          `of ${loss.toPrecision(4)} ${rateWords(learningRate)}, so nothing more can be learned; ` +
          "try a lower learning rate",
      );
    }
    const limit = Math.max(OF_FIRST * this.#firstLoss, OF_GUESSING * Math.log(this.vocabulary));
    this.#explodedSteps = loss > limit ? this.#explodedSteps + 1 : 0;
    if (this.#explodedSteps < EXPLODED_STEPS) return;
    throw new SpielError(
      "numeric",
      `The loss has exploded: it is above ${limit.toPrecision(4)} since step ` +
        `${step - EXPLODED_STEPS + 1} and ${loss.toPrecision(4)} in step ${step}, from ` +
        `${this.#firstLoss.toPrecision(4)} at first, ${rateWords(learningRate)}; ` +
        "try a lower learning rate",
    );
  }
}

/** How messages name a learning rate. */
export function rateWords(learningRate: number): string {
  return `at learning rate ${learningRate.toExponential(1)}`;
}

/** An error with the step before it, where it is one of numbers after training began; others as they are. */
export function withPlace(error: unknown, step: number, learningRate: number): unknown {
  if (!isSpielError(error) || error.kind !== "numeric" || step === 0) return error;
  const place = `after step ${step} ${rateWords(learningRate)}`;
  const message = `${error.message} ${place}; try a lower learning rate`;
  return new SpielError("numeric", message, { cause: error });
}

/** An error with what of the run is kept, where it is one of numbers; others as they are. */
export function withWhatIsKept(error: unknown, savedStep: number | null): unknown {
  if (!isSpielError(error) || error.kind !== "numeric" || savedStep === null) return error;
  const message = `${error.message}; the checkpoint of step ${savedStep} is kept`;
  return new SpielError("numeric", message, { cause: error });
}
