/** The saves of a run: none twice, a failed one in passing forgiven, and what of the run is on disk. */

import { isSpielError, SpielError } from "../errors.ts";
import type { BestEvaluation, TrainingPosition } from "./position.ts";
import type { TrainerParts } from "./trainer.ts";

/** Saves that may fail in a row before the run stops. */
const MAX_FAILED_SAVES = 3;

/** Saves one run's position. */
export class Saver {
  /** Whether the last checkpoint holds the position as it is. */
  #isCurrent = false;
  #failures = 0;
  /** The best evaluation that can be returned to. */
  #best: BestEvaluation | null;
  /** Step of the newest checkpoint. */
  #step: number | null;

  constructor(
    private readonly parts: Pick<TrainerParts, "save" | "onEvent">,
    private readonly position: TrainingPosition,
    private readonly elapsedS: () => number,
  ) {
    this.#best = position.best;
    this.#step = position.step > 0 ? position.step : null;
  }

  /** Step of the newest checkpoint, or null when there is none. */
  get step(): number | null {
    return this.#step;
  }

  /** The position has changed since it was saved. */
  markChanged(): void {
    this.#isCurrent = false;
    // The untrained model needs no checkpoint.
    if (this.position.best?.step === 0) this.#best = this.position.best;
  }

  /** Saves unless the position is saved already. */
  async save(): Promise<void> {
    if (this.parts.save === null || this.#isCurrent) return;
    const { position } = this;
    const path = await this.parts.save(position);
    this.#isCurrent = true;
    this.#failures = 0;
    this.#best = position.best;
    this.#step = position.step;
    const elapsedS = this.elapsedS();
    await this.parts.onEvent?.({ type: "checkpoint", step: position.step, path, elapsedS });
  }

  /** A checkpoint in passing: a full disk now may be mended before the next. */
  async tryToSave(): Promise<void> {
    const failure = await storageFailure(() => this.save());
    if (failure === null) return;
    if (++this.#failures >= MAX_FAILED_SAVES) throw failure;
    // What is not saved cannot be returned to; the next better evaluation is saved again.
    this.position.best = this.#best;
    const message = `${failure.message}; training goes on`;
    await this.parts.onEvent?.({ type: "warning", message });
  }
}

/** What the disk refuses of an act, returned instead of thrown; null where it takes all. */
export async function storageFailure(act: () => Promise<void>): Promise<SpielError | null> {
  try {
    await act();
    return null;
  } catch (error) {
    if (isSpielError(error) && error.kind === "storage") return error;
    throw error;
  }
}

/**
 * An error with what of the run is kept: where its numbers went wrong the checkpoint to look at, where the disk or the
 * device failed the one to go on from. Others are returned as they are.
 */
export function withWhatIsKept(error: unknown, savedStep: number | null): unknown {
  if (!isSpielError(error) || savedStep === null) return error;
  const { kind } = error;
  if (!["numeric", "storage", "device"].includes(kind)) return error;
  const way = kind === "numeric" ? "" : ", and the same command with --resume goes on from there";
  const message = `${error.message}; the checkpoint of step ${savedStep} is kept${way}`;
  return new SpielError(kind, message, { cause: error });
}
