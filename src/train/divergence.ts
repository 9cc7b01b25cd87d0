/** Tells a run that has broken down from one that learns, and says so with what helps. */

import { isSpielError, SpielError } from "../errors.ts";
import type { StepResult } from "./step.ts";

/** Steps in a row, of those that are read, without any gradient, after which a run ends. */
const DEAD_STEPS = 3;
/** Up to this loss gradients may round to zero because there is nothing left to learn. */
const LEARNED_LOSS = 1e-3;
/** Steps that a row with an exploded loss reaches over when it ends a run; spikes are shorter. */
const EXPLODED_STEPS = 20;
/** Steps of it that were read at least: between two a spike may have come and gone. */
const EXPLODED_READ = 3;
/** A loss has exploded when it is as many times the first one... */
const OF_FIRST = 3;
/** ...and as many times the loss of guessing, which no run that learns comes back to. */
const OF_GUESSING = 1.5;

/** Steps of one kind in a row, of those that are read. */
class Row {
  #first: number | null = null;
  /** Steps that were read. */
  read = 0;
  /** Steps from the first to the last. */
  length = 0;

  /** Where the row began. */
  get first(): number {
    return this.#first ?? 0;
  }

  /** Goes on with a step of its kind; ends with any other. */
  take(step: number, isOfKind: boolean): void {
    this.#first = isOfKind ? this.#first ?? step : null;
    this.read = isOfKind ? this.read + 1 : 0;
    this.length = this.#first === null ? 0 : step - this.#first + 1;
  }
}

/** Watches the steps of a run, those that are read: with `logEvery` above 1 not all of them. */
export class DivergenceGuard {
  /** Of this process: a run that was resumed is measured by where it went on. */
  #firstLoss: number | undefined;
  readonly #dead = new Row();
  readonly #exploded = new Row();

  /** @param vocabulary Tokens to choose from, by which the loss of guessing is known; without it no explosion is. */
  constructor(private readonly vocabulary: number = Infinity) {}

  /** Whether the last step was such that more of its kind end the run. Nothing good is to be given up for it. */
  get isSuspicious(): boolean {
    return this.#dead.read > 0 || this.#exploded.read > 0;
  }

  /**
   * Looks at a step that was made.
   *
   * @throws {SpielError} `numeric` when the run cannot recover.
   */
  check(step: number, { loss, gradNorm }: StepResult, learningRate: number): void {
    this.#firstLoss ??= loss;
    this.#dead.take(step, gradNorm === 0 && loss > LEARNED_LOSS);
    if (this.#dead.read >= DEAD_STEPS) {
      throw new SpielError(
        "numeric",
        `No gradient is left: its norm is 0 in steps ${this.#dead.first} to ${step}, at a loss ` +
          `of ${loss.toPrecision(4)} ${rateWords(learningRate)}, so nothing more can be learned; ` +
          "try a lower learning rate",
      );
    }
    const limit = Math.max(OF_FIRST * this.#firstLoss, OF_GUESSING * Math.log(this.vocabulary));
    this.#exploded.take(step, loss > limit);
    const { length, read } = this.#exploded;
    if (length < EXPLODED_STEPS || read < EXPLODED_READ) return;
    throw new SpielError(
      "numeric",
      `The loss has exploded: it is above ${limit.toPrecision(4)} since step ` +
        `${this.#exploded.first} and ${loss.toPrecision(4)} in step ${step}, from ` +
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
