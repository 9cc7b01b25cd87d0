/** Between a run and its checkpoints: what is saved, and how a run goes on from it. */

import {
  type LoadedCheckpoint,
  type OnWarning,
  saveCheckpoint,
  type SaveOptions,
} from "../checkpoint/checkpoint.ts";
import type { CheckpointState, Place, RunIdentity } from "../checkpoint/state.ts";
import type { Engine } from "../engine/engine.ts";
import type { Precision } from "../engine/protocol.gen.ts";
import type { Files } from "../io/files.ts";
import { windowIsOpen } from "../spiel/schedule.ts";
import { VERSION } from "../version.ts";
import type { TrainerOptions } from "./options.ts";
import type { TrainingPosition } from "./position.ts";
import { snapshotOf, type Trained, writeSnapshot } from "./snapshot.ts";

/** What a run's checkpoints have in common. */
export interface CheckpointingParts {
  readonly engine: Engine;
  readonly trained: Trained;
  readonly files: Files;
  /** The run folder. */
  readonly folder: string;
  readonly identity: RunIdentity;
  readonly precision: Precision;
  readonly keep: number;
  readonly onWarning: OnWarning;
}

/** Saves the run as it stands, and keeps the best checkpoint beside the newest ones. Returns the path. */
export async function saveRun(
  parts: CheckpointingParts,
  position: Readonly<TrainingPosition>,
): Promise<string> {
  const { engine, trained, files, folder, identity, precision, keep, onWarning } = parts;
  const groups = snapshotOf(engine, trained, position.windowSamples);
  const { host, device } = engine.info;
  const state = checkpointState(position, identity, precision, { host, device });
  const options: SaveOptions = { keep, onWarning };
  if (position.best !== null) options.protect = [position.best.step];
  return await saveCheckpoint(files, folder, { state, groups }, options);
}

/** Puts a checkpoint's state into a model that has its weights and no deltas, and returns where the run stands. */
export async function restoreRun(
  engine: Engine,
  trained: Trained,
  checkpoint: LoadedCheckpoint,
  { spiel }: Pick<TrainerOptions, "spiel">,
): Promise<TrainingPosition> {
  const position = positionOf(checkpoint.state);
  const { step, windowSamples } = position;
  // Before the first step the trainer opens the window itself, as in a fresh run.
  const isOpen = step > 0 && spiel !== null && spiel.growth.needsWindow &&
    windowIsOpen(step, spiel.schedule);
  await writeSnapshot(engine, trained, checkpoint, { isOpen, samples: windowSamples });
  return position;
}

/** Has the last evaluation made again, such as when its line was lost. */
export function forgetEvaluation(position: TrainingPosition): void {
  if (position.best?.step !== position.evaluatedStep) {
    position.evaluationsWithoutImprovement = Math.max(
      0,
      position.evaluationsWithoutImprovement - 1,
    );
  }
  position.evaluatedStep = null;
}

function checkpointState(
  position: TrainingPosition,
  run: RunIdentity,
  precision: Precision,
  place: Place,
): CheckpointState {
  return {
    program_version: VERSION,
    run,
    place,
    precision,
    step: position.step,
    micro_batch: position.microBatch,
    tokens: position.tokens,
    target_tokens: position.targetTokens,
    window_samples: position.windowSamples,
    evaluated_step: position.evaluatedStep,
    best_eval: position.best,
    early_stop: { evaluations_without_improvement: position.evaluationsWithoutImprovement },
  };
}

function positionOf(state: CheckpointState): TrainingPosition {
  return {
    step: state.step,
    microBatch: state.micro_batch,
    tokens: state.tokens,
    targetTokens: state.target_tokens,
    windowSamples: state.window_samples,
    evaluatedStep: state.evaluated_step,
    best: state.best_eval,
    evaluationsWithoutImprovement: state.early_stop.evaluations_without_improvement,
  };
}
