/**
 * The training loop: steps, reselections, evaluations and checkpoints in their order.
 *
 * After each step: reselect or open a selection window, evaluate, save. A run is interrupted between steps only, after
 * saving, so that the resumed run repeats the uninterrupted one bit for bit.
 */

import type { Engine } from "../engine/engine.ts";
import { isSpielError, SpielError } from "../errors.ts";
import { actionsAfter, nextReselection, windowIsOpen } from "../spiel/schedule.ts";
import type { Evaluation } from "./evaluate.ts";
import type { TrainEvent } from "./events.ts";
import { learningRate } from "./lr_schedule.ts";
import type { TrainerOptions } from "./options.ts";
import { Pace } from "./pace.ts";
import { type BestEvaluation, startPosition, type TrainingPosition } from "./position.ts";
import type { StepProfiler } from "./profile.ts";
import { makeStep, type TrainingBatch } from "./step.ts";

/** Saves that may fail in a row before the run stops. */
const MAX_FAILED_SAVES = 3;

/** Training data as an endless sequence of micro-batches, a pure function of the index. */
export interface BatchSource {
  /** Micro-batch `index`, counted over all epochs. */
  microBatch(index: number): TrainingBatch | Promise<TrainingBatch>;
  /** Passes over the data before micro-batch `index`, with a fraction. */
  epochAt(index: number): number;
}

/** What the loop works with. */
export interface TrainerParts {
  /** Holds the model, its deltas attached and, in a resumed run, its state restored. */
  readonly engine: Engine;
  /** What to train on. */
  readonly batches: BatchSource;
  /** Evaluates held-out data; returns `null` when the signal cut it short. `null` where there is none. */
  readonly evaluate: ((signal?: AbortSignal) => Promise<Evaluation | null>) | null;
  /** Saves a checkpoint and returns its path. `null` where nothing is saved. */
  readonly save: ((position: Readonly<TrainingPosition>) => Promise<string>) | null;
  /** Told of everything that happens, and awaited. */
  readonly onEvent?: (event: TrainEvent) => void | Promise<void>;
  /** Counts what steps ask of the device. */
  readonly profiler?: StepProfiler | undefined;
  /** Ends the run at the next step's boundary, after saving. */
  readonly signal?: AbortSignal | undefined;
}

/** How a run ended. */
export interface TrainingResult {
  /** Where it ended. */
  readonly position: Readonly<TrainingPosition>;
  /** Whether it ended because evaluations no longer improved. */
  readonly stoppedEarly: boolean;
  /** Seconds since this process began the run. */
  readonly elapsedS: number;
}

/** One run of the loop. */
export class Trainer {
  readonly #pace = new Pace();
  /** Whether the last checkpoint holds the position as it is. */
  #isSaved = false;
  #failedSaves = 0;
  /** The best evaluation whose state has a checkpoint. */
  #savedBest: BestEvaluation | null;

  /**
   * Prepares a run; `run` makes it.
   *
   * @param position Where to begin; that of a checkpoint in a resumed run.
   */
  constructor(
    private readonly parts: TrainerParts,
    private readonly options: TrainerOptions,
    private readonly position: TrainingPosition = startPosition(),
  ) {
    this.#savedBest = position.best;
  }

  /**
   * Trains to the end.
   *
   * @throws {SpielError} `interrupted` when the signal ended it, `numeric` when it diverged, `storage` when
   * checkpoints could not be saved.
   */
  async run(): Promise<TrainingResult> {
    // Step 0 has no window to restore: a run resumed there begins as a fresh one.
    if (this.position.step === 0) await this.#moveDeltas();
    if (await this.#evaluateIfDue()) await this.#saveIfDue();
    while (!this.#isFinished) {
      if (this.parts.signal?.aborted) await this.#interrupt();
      await this.#stepAndMove();
      await this.#evaluateIfDue();
      await this.#saveIfDue();
    }
    if (this.#evaluationIsDue) await this.#interrupt();
    const stoppedEarly = this.position.step < this.options.totalSteps;
    return { position: this.position, stoppedEarly, elapsedS: this.#pace.elapsedS };
  }

  async #stepAndMove(): Promise<void> {
    const work = async () => {
      await this.#step();
      await this.#moveDeltas();
    };
    await (this.parts.profiler?.measure(work) ?? work());
  }

  async #step(): Promise<void> {
    const { position, options, parts } = this;
    const { totalSteps, spiel } = options;
    const begun = performance.now();
    const step = position.step + 1;
    const batches = await this.#nextBatches();
    const lr = learningRate(step, options.learningRate);
    const result = await makeStep(parts.engine, batches, step, lr, options.update);

    position.step = step;
    position.microBatch += batches.length;
    position.tokens += result.tokens;
    position.targetTokens += result.targetTokens;
    position.windowSamples += this.#windowIsOpen ? batches.length : 0;
    this.#isSaved = false;

    const next = spiel && nextReselection(step, spiel.schedule);
    const seconds = (performance.now() - begun) / 1000;
    this.#pace.record(seconds);
    await this.#tell({
      type: "step",
      step,
      totalSteps,
      ...result,
      lr,
      tokensPerSecond: result.tokens / seconds,
      epoch: parts.batches.epochAt(position.microBatch),
      elapsedS: this.#pace.elapsedS,
      ...(next === null ? {} : { nextReselection: next - step }),
      etaSeconds: this.#pace.secondsFor(totalSteps - step),
    });
  }

  async #nextBatches(): Promise<TrainingBatch[]> {
    const batches: TrainingBatch[] = [];
    for (let i = 0; i < this.options.gradientAccumulationSteps; i++) {
      batches.push(await this.parts.batches.microBatch(this.position.microBatch + i));
    }
    return batches;
  }

  /** Does what SpIEL's calendar asks for after the steps done so far. */
  async #moveDeltas(): Promise<void> {
    const { position: { step }, parts: { engine }, options: { spiel, update } } = this;
    if (spiel === null) return;
    const { growth, schedule } = spiel;
    const { candidatesBegin, reselect } = actionsAfter(step, schedule);
    if (candidatesBegin && growth.needsWindow) await engine.beginCandidates();
    if (reselect === null) return;
    const modules = await engine.reselect({
      criterion: growth.criterion,
      rate: reselect.rate,
      gradientAccumulationSteps: this.options.gradientAccumulationSteps,
      beta1: update.beta1,
      beta2: update.beta2,
    });
    this.position.windowSamples = 0;
    const replaced = modules.reduce((sum, module) => sum + module.replaced, 0);
    const { rate } = reselect;
    await this.#tell({ type: "reselect", step, rate, dropped: replaced, grown: replaced });
  }

  /** Returns whether it evaluated. */
  async #evaluateIfDue(): Promise<boolean> {
    const { position, parts } = this;
    if (parts.evaluate === null || !this.#evaluationIsDue) return false;
    const evaluation = await parts.evaluate(parts.signal);
    if (evaluation === null) return false;
    const { step } = position;
    // The untrained model is no checkpoint to go back to, so it does not count as the best.
    const isBest = step > 0 && (position.best === null || evaluation.loss < position.best.loss);
    if (isBest) position.best = { step, loss: evaluation.loss };
    if (step > 0) {
      position.evaluationsWithoutImprovement = isBest
        ? 0
        : position.evaluationsWithoutImprovement + 1;
    }
    position.evaluatedStep = step;
    this.#isSaved = false;
    const { elapsedS } = this.#pace;
    await this.#tell({ type: "eval", step, ...evaluation, isBest, elapsedS });
    return true;
  }

  async #saveIfDue(): Promise<void> {
    const { position: { step, best }, options: { saveEvery, earlyStopPatience } } = this;
    const keepsBest = saveEvery > 0 || earlyStopPatience > 0;
    const isBest = keepsBest && best?.step === step;
    const isRegular = saveEvery > 0 && step > 0 && step % saveEvery === 0;
    if (this.#isFinished) await this.#save();
    else if (isBest || isRegular) await this.#tryToSave();
  }

  /** A checkpoint in passing: a full disk now may be mended before the next. */
  async #tryToSave(): Promise<void> {
    try {
      await this.#save();
      this.#failedSaves = 0;
    } catch (error) {
      const isStorage = isSpielError(error) && error.kind === "storage";
      if (!isStorage || ++this.#failedSaves >= MAX_FAILED_SAVES) throw error;
      // What is not saved cannot be returned to; the next better evaluation is saved again.
      this.position.best = this.#savedBest;
      await this.#tell({ type: "warning", message: `${error.message}; training goes on` });
    }
  }

  async #save(): Promise<void> {
    if (this.parts.save === null || this.#isSaved) return;
    const path = await this.parts.save(this.position);
    this.#isSaved = true;
    this.#savedBest = this.position.best;
    await this.#tell({ type: "checkpoint", step: this.position.step, path });
  }

  async #interrupt(): Promise<never> {
    await this.#save();
    throw new SpielError("interrupted", `Stopped after step ${this.position.step}, as asked`);
  }

  get #isFinished(): boolean {
    const { position, options } = this;
    const patience = options.earlyStopPatience;
    return position.step >= options.totalSteps ||
      (patience > 0 && position.evaluationsWithoutImprovement >= patience);
  }

  get #evaluationIsDue(): boolean {
    const { position: { step, evaluatedStep }, options: { evalEvery, totalSteps } } = this;
    const isDue = step === 0 || step >= totalSteps || (evalEvery > 0 && step % evalEvery === 0);
    return this.parts.evaluate !== null && isDue && evaluatedStep !== step;
  }

  /** Whether a selection window was open during the step just made. */
  get #windowIsOpen(): boolean {
    const { spiel } = this.options;
    return spiel !== null && spiel.growth.needsWindow &&
      windowIsOpen(this.position.step - 1, spiel.schedule);
  }

  async #tell(event: TrainEvent): Promise<void> {
    await this.parts.onEvent?.(event);
  }
}
