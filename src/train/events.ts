/** What a training run tells while it goes on. */

import type { OpenInfo } from "../engine/engine.ts";
import type { Stretch } from "../data/stretches.ts";
import type { DrawnSource } from "../data/sampler.ts";
import type { DownloadProgress } from "../hub/fetch_files.ts";
import type { GradientTrial, MemoryTable, Precision } from "../engine/protocol.gen.ts";
import type { Evaluation, EvaluationProgress } from "./evaluate.ts";
import type { MetricsEvent } from "./metrics.ts";
import type { BestEvaluation } from "./position.ts";
import type { ProfileReport } from "./profile.ts";
import type { StepTime } from "./step_time.ts";

/** What all events have. */
export interface TaggedEvent<Type extends string> {
  /** Tells the events apart. */
  readonly type: Type;
}

/** An event at a place in the run. */
export interface SteppedEvent<Type extends string> extends TaggedEvent<Type> {
  /** Optimiser steps done. */
  readonly step: number;
}

/** The engine is open. */
export interface OpenedEvent extends TaggedEvent<"opened"> {
  /** Host, device and the reason for them. */
  readonly info: OpenInfo;
}

/** What the model takes and what of it is trained; nothing is allocated yet. */
export interface PlannedEvent extends TaggedEvent<"planned"> {
  /** Bytes by purpose. */
  readonly memory: MemoryTable;
  /** What products by weights round to. */
  readonly precision: Precision;
  /** Weights in the model, a tied head counted once. */
  readonly parameters: number;
  /** Numbers that are trained. */
  readonly trainable: number;
}

/** A model or data set comes from the hub. */
export interface DownloadingEvent extends TaggedEvent<"downloading">, DownloadProgress {}

/** It is known how the data files are read. */
export interface FilesEvent extends TaggedEvent<"files"> {
  /** In their order, those to train on first. */
  readonly files: readonly RecognisedFile[];
}

/** How a data file is read, and why. */
export interface RecognisedFile {
  /** Where it is. */
  readonly path: string;
  /** What kind of file it is, such as "JSON Lines". */
  readonly kind: string;
  /** The format of its records, as `--format` names it. */
  readonly format: string;
  /** The reason, such as `line 1 has the field "text"`. */
  readonly why: string;
}

/** A large data file is gone through before any of it is tokenised, to unpack it, know it again, or cut it into blocks. */
export interface LookingEvent extends TaggedEvent<"looking"> {
  /** Which file. */
  readonly path: string;
  /** Share of it that was gone through, 0 to 1. */
  readonly done: number;
}

/** Data is being read and tokenised. */
export interface ReadingEvent extends TaggedEvent<"reading"> {
  /** Which data. */
  readonly data: "train" | "held-out";
  /** Examples of it so far. */
  readonly examples: number;
  /** Share of it that is done, and kept where it is kept for later runs, 0 to 1. */
  readonly done: number;
}

/** What the data holds. */
export interface DataEvent extends TaggedEvent<"data">, DataCounts {
  /** The held-out examples that are evaluated; absent without any. */
  readonly eval?: DataCounts;
  /** Training examples that were left out as they repeat others; absent where none were to be. */
  readonly repeated?: number;
  /** What an epoch draws from each source; absent where it takes every example once. */
  readonly mixture?: readonly DrawnSource[];
  /** Share of the micro-batches' room that the training data fills in the first epoch, 0 to 1. */
  readonly filled: number;
  /** Optimiser steps of the whole run. */
  readonly totalSteps: number;
}

/** An example as it is trained on; told by a dry run alone. */
export interface ExampleEvent extends TaggedEvent<"example"> {
  /** File and line. */
  readonly where: string;
  /** Its text, cut where training begins and ends. */
  readonly text: readonly Stretch[];
}

/** How long the steps after `step`, 0 or that of the checkpoint, will take; told by a dry run alone. */
export interface EstimatedEvent extends SteppedEvent<"estimated"> {
  /** By micro-batches that were computed; null where the model's weights are not there to be loaded. */
  readonly time: StepTime | null;
}

/** The size of one data set after tokenisation. */
export interface DataCounts {
  /** Number of examples. */
  readonly examples: number;
  /** Tokens of all examples. */
  readonly tokens: number;
  /** Tokens that are trained on. */
  readonly targetTokens: number;
  /** Examples that were cut to the greatest length. */
  readonly truncated: number;
}

/** The device's ways to the gradients at the deltas were measured; not told where it has one way only. */
export interface GradientsEvent extends TaggedEvent<"gradients"> {
  /** The trial of each size of module. */
  readonly trials: readonly GradientTrial[];
}

/** The run goes on from a checkpoint. */
export interface ResumedEvent extends SteppedEvent<"resumed"> {
  /** The checkpoint's folder. */
  readonly path: string;
  /** What was measured up to there: the lines of `metrics.jsonl` that the run goes on from. */
  readonly history: readonly MetricsEvent[];
  /** Seconds of the run up to there. */
  readonly elapsedS: number;
}

/** An optimiser step is done, and what it came to is read: every `log_every` steps, and the last. */
export interface StepEvent extends SteppedEvent<"step"> {
  /** Optimiser steps of the whole run. */
  readonly totalSteps: number;
  /** Mean cross-entropy of the step's targets, in nats, before the update. */
  readonly loss: number;
  /** Learning rate of the update. */
  readonly lr: number;
  /** 2-norm of the gradient before clipping. */
  readonly gradNorm: number;
  /** Tokens of this step. */
  readonly tokens: number;
  /** Targets of this step. */
  readonly targetTokens: number;
  /** Tokens of the steps since the last such event, by their time. */
  readonly tokensPerSecond: number;
  /** Passes over the data, with a fraction. */
  readonly epoch: number;
  /** Seconds of the run up to here, over all resumptions. */
  readonly elapsedS: number;
  /** Steps until the next reselection; absent when there is none left. */
  readonly nextReselection?: number;
  /** Seconds that the remaining steps will take at the recent pace. */
  readonly etaSeconds: number;
}

/** An evaluation of the held-out data is under way. */
export interface EvaluatingEvent extends TaggedEvent<"evaluating">, EvaluationProgress {}

/** The held-out data was evaluated. */
export interface EvalEvent extends SteppedEvent<"eval">, Evaluation {
  /** Whether it is better than all before, that of the untrained model included; false at step 0. */
  readonly isBest: boolean;
  /** Seconds of the run up to here, over all resumptions. */
  readonly elapsedS: number;
}

/** Deltas were moved. */
export interface ReselectEvent extends SteppedEvent<"reselect"> {
  /** Share of the deltas that was to be replaced. */
  readonly rate: number;
  /** Deltas that were given up. */
  readonly dropped: number;
  /** Deltas at new positions. */
  readonly grown: number;
}

/** A checkpoint is saved. */
export interface CheckpointEvent extends SteppedEvent<"checkpoint"> {
  /** The checkpoint's folder. */
  readonly path: string;
  /** Seconds of the run up to here, over all resumptions. */
  readonly elapsedS: number;
}

/** Something that did not stop the run. */
export interface WarningEvent extends TaggedEvent<"warning"> {
  /** A sentence, or one with a list below it. */
  readonly message: string;
}

/** What the steps asked of the device, where `profile` is set. */
export interface ProfileEvent extends TaggedEvent<"profile"> {
  /** Counts and times. */
  readonly report: ProfileReport;
  /** The file that has them. */
  readonly path: string;
  /** The file that has the last calls one by one; `null` where the device does not time them. */
  readonly tracePath: string | null;
}

/** How a complete run ended. */
export interface RunEnding {
  /** Whether it ended because evaluations no longer improved. */
  readonly stoppedEarly: boolean;
  /** Step of the state that was saved: the last, or after an early stop the best. */
  readonly savedStep: number;
  /** The best evaluation; its step is 0 where none was better than the untrained model's. `null` without held-out data. */
  readonly best: BestEvaluation | null;
  /** Seconds of the run, over all resumptions. */
  readonly elapsedS: number;
  /** Most bytes that this process has held, the engine's included but for a GPU's; `null` where the system does not tell. */
  readonly peakMemoryBytes: number | null;
}

/** The run is complete. */
export interface DoneEvent extends SteppedEvent<"done">, RunEnding {
  /** The folder of the adapter, or of the model with method full. */
  readonly output: string;
}

/** The run that was to go on is complete already; nothing is done. */
export interface FinishedEvent extends SteppedEvent<"finished"> {
  /** The folder of its result. */
  readonly output: string;
}

/** Everything that a run tells, by `type`. */
export type TrainEvent =
  | DownloadingEvent
  | OpenedEvent
  | PlannedEvent
  | FilesEvent
  | LookingEvent
  | ReadingEvent
  | DataEvent
  | ExampleEvent
  | EstimatedEvent
  | GradientsEvent
  | ResumedEvent
  | StepEvent
  | EvaluatingEvent
  | EvalEvent
  | ReselectEvent
  | CheckpointEvent
  | WarningEvent
  | ProfileEvent
  | FinishedEvent
  | DoneEvent;
