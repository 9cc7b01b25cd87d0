/**
 * `metrics.jsonl`: what a run measured, one JSON object per line. A resumed run continues the file
 * so that it reads as one run.
 */

import { SpielError } from "../errors.ts";
import { type Files, isNotFound, type OutputFile, storageError, writeAll } from "../io/files.ts";
import { publishFile } from "../io/publish.ts";
import type { TrainEvent } from "./events.ts";

/** An optimiser step. */
export interface StepMetrics {
  /** Tells the lines apart. */
  event: "step";
  /** Optimiser steps done. */
  step: number;
  /** Mean cross-entropy per target token, in nats, before the update. */
  loss: number;
  /** Learning rate of the update. */
  lr: number;
  /** 2-norm of the gradient before clipping. */
  grad_norm: number;
  /** Tokens of the step. */
  tokens: number;
  /** Targets that the loss is the mean of. */
  target_tokens: number;
  /** Tokens of the steps since the last such line, by their time. */
  tokens_per_second: number;
  /** Passes over the data, with a fraction. */
  epoch: number;
  /** Seconds of training up to here, over all resumptions. */
  elapsed_s: number;
}

/** An evaluation on held-out data; `step` 0 is before training. */
export interface EvalMetrics {
  /** Tells the lines apart. */
  event: "eval";
  /** Optimiser steps done. */
  step: number;
  /** Mean cross-entropy per target token, in nats. */
  loss: number;
  /** e to the loss. */
  perplexity: number;
  /** Share of exactly right answers, 0 to 1; only where answers were generated. */
  exact_match?: number;
  /** Targets that the loss is the mean of. */
  target_tokens: number;
  /** Seconds of training up to here, over all resumptions. */
  elapsed_s: number;
}

/** A reselection after a step. */
export interface ReselectMetrics {
  /** Tells the lines apart. */
  event: "reselect";
  /** Optimiser steps done. */
  step: number;
  /** Deltas that were given up. */
  dropped: number;
  /** Deltas at new positions. */
  grown: number;
  /** Share of the deltas that was to be replaced. */
  rate: number;
}

/** A saved checkpoint. */
export interface CheckpointMetrics {
  /** Tells the lines apart. */
  event: "checkpoint";
  /** Optimiser steps done. */
  step: number;
  /** The checkpoint's folder. */
  path: string;
  /** Seconds of training up to here, over all resumptions. */
  elapsed_s: number;
}

/** The end of a complete run; always the last line. */
export interface DoneMetrics {
  /** Tells the lines apart. */
  event: "done";
  /** Optimiser steps done. */
  step: number;
  /** Whether it ended because evaluations no longer improved. */
  stopped_early: boolean;
  /** The folder of the adapter or model. */
  output: string;
  /** Step of the state in it. */
  saved_step: number;
  /** Step of the lowest held-out loss; 0 where none was lower than the untrained model's, null without held-out data. */
  best_step: number | null;
  /** The lowest held-out loss, or null. */
  best_loss: number | null;
  /** Most bytes that the process has held; null where the system does not tell. */
  peak_memory_bytes: number | null;
  /** Seconds of training up to here, over all resumptions. */
  elapsed_s: number;
}

/** One line of the file. A value that is not finite stands as `null` in it. */
export type MetricsEvent =
  | StepMetrics
  | EvalMetrics
  | ReselectMetrics
  | CheckpointMetrics
  | DoneMetrics;

/** The line for an event of the trainer; null for events that are not metrics. */
export function metricsOf(event: TrainEvent): MetricsEvent | null {
  const elapsed = (seconds: number) => Math.round(seconds * 1000) / 1000;
  switch (event.type) {
    case "step":
      return {
        event: "step",
        step: event.step,
        loss: event.loss,
        lr: event.lr,
        grad_norm: event.gradNorm,
        tokens: event.tokens,
        target_tokens: event.targetTokens,
        tokens_per_second: event.tokensPerSecond,
        epoch: event.epoch,
        elapsed_s: elapsed(event.elapsedS),
      };
    case "eval":
      return {
        event: "eval",
        step: event.step,
        loss: event.loss,
        perplexity: event.perplexity,
        ...(typeof event.exactMatch === "number" && { exact_match: event.exactMatch }),
        target_tokens: event.targetTokens,
        elapsed_s: elapsed(event.elapsedS),
      };
    case "reselect": {
      const { step, dropped, grown, rate } = event;
      return { event: "reselect", step, dropped, grown, rate };
    }
    case "checkpoint":
      return {
        event: "checkpoint",
        step: event.step,
        path: event.path,
        elapsed_s: elapsed(event.elapsedS),
      };
    case "done":
      return {
        event: "done",
        step: event.step,
        stopped_early: event.stoppedEarly,
        output: event.output,
        saved_step: event.savedStep,
        best_step: event.best?.step ?? null,
        best_loss: event.best?.loss ?? null,
        peak_memory_bytes: event.peakMemoryBytes,
        elapsed_s: elapsed(event.elapsedS),
      };
    default:
      return null;
  }
}

/** The line, with its line break. */
export function encodeMetrics(event: MetricsEvent): string {
  return JSON.stringify(event) + "\n";
}

/**
 * Reads the text of `metrics.jsonl`. A last line without its line break was torn and is left out.
 *
 * @param path the file, for messages.
 * @throws SpielError "data" that names the first line which is not a metrics event.
 */
export function parseMetrics(text: string, path: string): MetricsEvent[] {
  return text.split("\n").slice(0, -1).map((line, index) => {
    const event = parseLine(line);
    if (event) return event;
    throw new SpielError(
      "data",
      `${path}:${index + 1}: expected a JSON object with "event" and "step", got ${
        JSON.stringify(line.slice(0, 60))
      }`,
    );
  });
}

/** The state of a checkpoint that decides which lines are part of the run. */
export interface MetricsResumePoint {
  /** Optimiser steps done. */
  step: number;
  /** Step of the last complete evaluation. */
  evaluatedStep: number | null;
}

/** Appends to `metrics.jsonl`. One writer per file; the run folder's lock sees to it. */
export class MetricsWriter implements Disposable {
  readonly path: string;
  /** The lines kept from before, in a run that goes on. */
  readonly history: readonly MetricsEvent[];
  readonly #file: OutputFile;
  /** What a full disk has not taken yet. */
  #waiting: Uint8Array = new Uint8Array(0);

  private constructor(path: string, kept: readonly MetricsEvent[], file: OutputFile) {
    this.path = path;
    this.history = kept;
    this.#file = file;
  }

  /**
   * Opens the file for a run that starts (`null`), or cuts it back to the checkpoint that a run
   * resumes from: what came later will be written again.
   *
   * @throws SpielError "storage".
   */
  static async open(
    files: Files,
    path: string,
    resumeFrom: MetricsResumePoint | null,
  ): Promise<MetricsWriter> {
    try {
      const kept = resumeFrom ? await keptEvents(files, path, resumeFrom) : [];
      await publishFile(files, path, new TextEncoder().encode(kept.map(encodeMetrics).join("")));
      return new MetricsWriter(path, kept, await files.append(path));
    } catch (error) {
      throw storageError(`Cannot open "${path}"`, error);
    }
  }

  /** Seconds of training that the lines kept from before tell of. */
  get elapsedBefore(): number {
    const last = this.history.findLast((event) => "elapsed_s" in event);
    return last !== undefined && "elapsed_s" in last ? last.elapsed_s : 0;
  }

  /**
   * Appends one line.
   *
   * @throws SpielError "storage"; the line, or the rest of it, then waits for the next write or sync.
   */
  async write(event: MetricsEvent): Promise<void> {
    const line = new TextEncoder().encode(encodeMetrics(event));
    const all = new Uint8Array(this.#waiting.length + line.length);
    all.set(this.#waiting);
    all.set(line, this.#waiting.length);
    this.#waiting = all;
    try {
      await this.#flush();
    } catch (error) {
      throw storageError(`Cannot write to "${this.path}"`, error);
    }
  }

  async #flush(): Promise<void> {
    await writeAll(this.#file, this.#waiting, (taken) => {
      this.#waiting = this.#waiting.subarray(taken);
    });
  }

  /**
   * Makes all lines durable. Call before a checkpoint is saved, so that no loss of power leaves a
   * checkpoint whose lines are missing.
   *
   * @throws SpielError "storage".
   */
  async sync(): Promise<void> {
    try {
      await this.#flush();
      await this.#file.sync();
    } catch (error) {
      throw storageError(`Cannot write to "${this.path}"`, error);
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

async function keptEvents(
  files: Files,
  path: string,
  { step, evaluatedStep }: MetricsResumePoint,
): Promise<MetricsEvent[]> {
  let text: string;
  try {
    text = new TextDecoder().decode(await files.read(path));
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
  // A crash can leave garbage only behind the last sync, thus among lines that are cut anyway.
  const events = text.split("\n").map(parseLine).filter((event) => event !== null);
  return events.filter((event) => {
    if (event.event === "done") return false;
    if (event.event === "eval" && event.step === step) return evaluatedStep === step;
    return event.step <= step;
  });
}

function parseLine(line: string): MetricsEvent | null {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) return null;
    const { event, step } = value as Partial<MetricsEvent>;
    return typeof event === "string" && Number.isInteger(step) ? value as MetricsEvent : null;
  } catch {
    return null;
  }
}
