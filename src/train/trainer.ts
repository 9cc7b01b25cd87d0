/**
 * The training loop: steps, reselections, evaluations and checkpoints in their order.
 *
 * After each step: reselect or open a selection window, evaluate, save. A run is interrupted between steps only, after
 * saving, so that the resumed run repeats the uninterrupted one bit for bit.
 */

import type { Engine } from "../engine/engine.ts";
import { SpielError } from "../errors.ts";
import { nextReselection, windowIsOpen } from "../spiel/schedule.ts";
import { DivergenceGuard, withPlace } from "./divergence.ts";
import type { Evaluation } from "./evaluate.ts";
import type { TrainEvent } from "./events.ts";
import { learningRate } from "./lr_schedule.ts";
import type { TrainerOptions } from "./options.ts";
import { moveDeltas } from "./move_deltas.ts";
import { Pace } from "./pace.ts";
import { startPosition, type TrainingPosition } from "./position.ts";
import { measured, type StepProfiler } from "./profile.ts";
import { Saver, storageFailure, withWhatIsKept } from "./saving.ts";
import { type BatchSource, takeBatches } from "./step.ts";
import { type ReadStep, Steps } from "./steps.ts";

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
  /** Seconds of the run before this process took it up; none when absent. */
  readonly elapsedBefore?: number;
}

/** How a run ended. */
export interface TrainingResult {
  /** Where it ended. */
  readonly position: Readonly<TrainingPosition>;
  /** Whether it ended because evaluations no longer improved. */
  readonly stoppedEarly: boolean;
  /** Seconds of the run, over all resumptions. */
  readonly elapsedS: number;
  /** Why the last state has no checkpoint, where the disk did not take it; null where it has one. */
  readonly unsaved: SpielError | null;
}

/** One run of the loop. */
export class Trainer {
  readonly #pace: Pace;
  readonly #saver: Saver;
  readonly #steps: Steps;
  readonly #guard: DivergenceGuard;
  /** Whether a regular checkpoint waits for the run to recover. */
  #saveIsOwed = false;
  #unsaved: SpielError | null = null;

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
    this.#pace = new Pace(parts.elapsedBefore);
    this.#steps = new Steps(parts.engine, options);
    this.#saver = new Saver(parts, position, () => this.#pace.elapsedS);
    this.#guard = new DivergenceGuard(options.vocabulary);
  }

  /**
   * Trains to the end.
   *
   * @throws {SpielError} `interrupted` when the signal ended it, `numeric` when it diverged, `storage` when
   * checkpoints could not be saved.
   */
  async run(): Promise<TrainingResult> {
    try {
      return await this.#run();
    } catch (error) {
      throw withWhatIsKept(error, this.#saver.step);
    }
  }

  async #run(): Promise<TrainingResult> {
    // Step 0 has no window to restore: a run resumed there begins as a fresh one.
    if (this.position.step === 0) await this.#moveDeltas();
    if (await this.#evaluateIfDue()) await this.#saveIfDue();
    while (!this.#isFinished) {
      if (this.parts.signal?.aborted) await this.#interrupt();
      await measured(this.parts.profiler, () => this.#stepAndMove());
      await this.#evaluateIfDue();
      await this.#saveIfDue();
    }
    if (this.#evaluationIsDue) await this.#interrupt();
    const { position } = this;
    const stoppedEarly = position.step < this.options.totalSteps;
    return { position, stoppedEarly, elapsedS: this.#pace.elapsedS, unsaved: this.#unsaved };
  }

  async #stepAndMove(): Promise<void> {
    await this.#step();
    await this.#moveDeltas();
  }

  async #step(): Promise<void> {
    const { position, options, parts } = this;
    const step = position.step + 1;
    this.#steps.begin();
    const batches = await takeBatches(parts.batches, position.microBatch, options);
    const lr = learningRate(step, options.learningRate);
    const { size, read } = await this.#steps.make({ step, batches, learningRate: lr });
    position.step = step;
    position.microBatch += batches.length;
    position.tokens += size.tokens;
    position.targetTokens += size.targetTokens;
    position.windowSamples += this.#windowIsOpen ? batches.length : 0;
    this.#saver.markChanged();
    if (read === null) return;
    await this.#tellStep(read, lr);
    this.#guard.check(step, read.result, lr);
  }

  /** Tells what the last step came to. */
  async #tellStep({ result, tokensPerSecond, secondsPerStep }: ReadStep, lr: number) {
    const { position: { step, microBatch }, options: { totalSteps, spiel }, parts } = this;
    const next = spiel && nextReselection(step, spiel.schedule);
    this.#pace.record(secondsPerStep);
    await this.#tell({
      type: "step",
      step,
      totalSteps,
      ...result,
      lr,
      tokensPerSecond,
      epoch: parts.batches.epochAt(microBatch),
      elapsedS: this.#pace.elapsedS,
      ...(next === null ? {} : { nextReselection: next - step }),
      etaSeconds: this.#pace.secondsFor(totalSteps - step),
    });
  }

  /** The run ends here, so that its last step is told of, whatever is logged. */
  async #tellLastStep(): Promise<void> {
    const read = await this.#steps.readLast();
    const lr = learningRate(this.position.step, this.options.learningRate);
    if (read !== null) await this.#tellStep(read, lr);
  }

  async #moveDeltas(): Promise<void> {
    const { position, parts: { engine }, options } = this;
    const { step } = position;
    const moved = await moveDeltas(engine, step, options, () => this.#steps.check());
    if (moved === null) return;
    position.windowSamples = 0;
    await this.#tell({ type: "reselect", step, ...moved });
  }

  /** Returns whether it evaluated. */
  async #evaluateIfDue(): Promise<boolean> {
    const { position, parts } = this;
    if (parts.evaluate === null || !this.#evaluationIsDue) return false;
    await this.#steps.check();
    const { step, best } = position;
    const evaluation = await this.#located(parts.evaluate(parts.signal));
    if (evaluation === null) return false;
    const isBetter = best === null || evaluation.loss < best.loss || best.step === step;
    if (isBetter) position.best = { step, loss: evaluation.loss };
    position.evaluationsWithoutImprovement = isBetter
      ? 0
      : position.evaluationsWithoutImprovement + 1;
    position.evaluatedStep = step;
    this.#saver.markChanged();
    const { elapsedS } = this.#pace;
    await this.#tell({ type: "eval", step, ...evaluation, isBest: isBetter && step > 0, elapsedS });
    return true;
  }

  async #saveIfDue(): Promise<void> {
    const { position: { step, best }, options: { saveEvery, savesBest } } = this;
    const isBest = (saveEvery > 0 || savesBest) && best?.step === step;
    this.#saveIsOwed ||= saveEvery > 0 && step > 0 && step % saveEvery === 0;
    const isRegular = this.#saveIsOwed && !this.#guard.isSuspicious;
    // What is trained is worth more than its checkpoint: it is told of once the result is safe.
    const save = () => this.#located(this.#saver.save());
    if (this.#isFinished) {
      await this.#tellLastStep();
      this.#unsaved = await storageFailure(save);
    } else if (isRegular || (isBest && step > 0)) {
      this.#saveIsOwed = false;
      await this.#steps.check();
      await this.#located(this.#saver.tryToSave());
    }
  }

  async #interrupt(): Promise<never> {
    await this.#tellLastStep();
    await this.#located(this.#saver.save());
    const { step } = this.position;
    const next = this.parts.save === null
      ? ""
      : "; all is saved, and the same command with --resume goes on";
    throw new SpielError("interrupted", `Stopped after step ${step}, as asked${next}`);
  }

  /** Work whose errors of numbers tell after which step they came. */
  async #located<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      const { step } = this.position;
      throw withPlace(error, step, learningRate(step, this.options.learningRate));
    }
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
