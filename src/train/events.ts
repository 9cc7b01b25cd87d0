/** What a training run tells while it goes on. */

import type { OpenInfo } from "../engine/engine.ts";
import type { MemoryTable } from "../engine/protocol.gen.ts";
import type { Evaluation } from "./evaluate.ts";

/** The engine is open. */
export interface OpenedEvent {
  readonly type: "opened";
  readonly info: OpenInfo;
}

/** What the model takes and what of it is trained; nothing is allocated yet. */
export interface PlannedEvent {
  readonly type: "planned";
  readonly memory: MemoryTable;
  /** Weights in the model, a tied head counted once. */
  readonly parameters: number;
  /** Numbers that are trained. */
  readonly trainable: number;
}

/** What the data holds. */
export interface DataEvent extends DataCounts {
  readonly type: "data";
  /** The held-out data; absent without any. */
  readonly eval?: DataCounts;
  readonly totalSteps: number;
}

/** The size of one data set after tokenisation. */
export interface DataCounts {
  readonly examples: number;
  readonly tokens: number;
  readonly targetTokens: number;
  /** Examples that were cut to the greatest length. */
  readonly truncated: number;
}

/** The run goes on from a checkpoint. */
export interface ResumedEvent {
  readonly type: "resumed";
  readonly step: number;
  readonly path: string;
}

/** An optimiser step is done. */
export interface StepEvent {
  readonly type: "step";
  readonly step: number;
  readonly totalSteps: number;
  /** Mean cross-entropy of the step's targets, in nats, before the update. */
  readonly loss: number;
  readonly lr: number;
  /** 2-norm of the gradient before clipping. */
  readonly gradNorm: number;
  /** Tokens of this step. */
  readonly tokens: number;
  readonly targetTokens: number;
  readonly tokensPerSecond: number;
  /** Passes over the data, with a fraction. */
  readonly epoch: number;
  /** Seconds since this process began the run. */
  readonly elapsedS: number;
  /** Steps until the next reselection; absent when there is none left. */
  readonly nextReselection?: number;
  /** Seconds that the remaining steps will take at the recent pace. */
  readonly etaSeconds: number;
}

/** The held-out data was evaluated. */
export interface EvalEvent extends Evaluation {
  readonly type: "eval";
  readonly step: number;
  /** Whether no trained state before had a lower loss. */
  readonly isBest: boolean;
  readonly elapsedS: number;
}

/** Deltas were moved. */
export interface ReselectEvent {
  readonly type: "reselect";
  readonly step: number;
  /** Share of the deltas that was to be replaced. */
  readonly rate: number;
  readonly dropped: number;
  readonly grown: number;
}

/** A checkpoint is saved. */
export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly step: number;
  readonly path: string;
}

/** Something that did not stop the run. */
export interface WarningEvent {
  readonly type: "warning";
  readonly message: string;
}

/** The run is complete. */
export interface DoneEvent {
  readonly type: "done";
  readonly step: number;
  readonly stoppedEarly: boolean;
  /** The folder of the adapter, or of the model with method full; absent after a dry run. */
  readonly output?: string;
  readonly elapsedS: number;
}

/** Everything that a run tells, by `type`. */
export type TrainEvent =
  | OpenedEvent
  | PlannedEvent
  | DataEvent
  | ResumedEvent
  | StepEvent
  | EvalEvent
  | ReselectEvent
  | CheckpointEvent
  | WarningEvent
  | DoneEvent;
