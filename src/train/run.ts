/** A whole run from a configuration: open, load, train or go on, save. Prints nothing; tells all by events. */

import { peakMemory } from "../engine/peak_memory.ts";
import type { Opener } from "../engine/preferred.ts";
import { isSpielError, SpielError } from "../errors.ts";
import { denoFiles, type Files } from "../io/files.ts";
import { saveRun } from "./checkpointing.ts";
import type { EvaluationProgress } from "./evaluate.ts";
import type { RunEnding, TrainEvent } from "./events.ts";
import type { Journal, JournalHooks, Scores } from "./journal.ts";
import { finishedRun } from "./finished_run.ts";
import { worseThanUntrained } from "./outcome.ts";
import { profileRecord, type ProfileReport, StepProfiler } from "./profile.ts";
import type { ReportSample } from "./report.ts";
import { beginRun, type BegunRun, loadRun, type RealRun } from "./run_beginning.ts";
import type { ResolvedConfig } from "./run_config.ts";
import { evaluationOf, Samples } from "./run_evaluation.ts";
import {
  type OutputParts,
  type ReportParts,
  returnToCheckpoint,
  saveOutput,
  writeReport,
} from "./run_output.ts";
import {
  checkFiles,
  localFiles,
  lookAtFolder,
  openFolder,
  type PreparedRun,
  prepareRun,
  type RunContext,
} from "./run_preparation.ts";
import { storageFailure } from "./saving.ts";
import { estimateSteps, type StepTime } from "./step_time.ts";
import { traceRecord } from "./trace.ts";
import { Trainer, type TrainerParts, type TrainingResult } from "./trainer.ts";

/** What a caller can hook into a run. */
export interface RunHooks extends JournalHooks {
  /** Stops the run after the step under way, with a checkpoint to resume from. */
  readonly signal?: AbortSignal;
  /** The disk, unless a test says otherwise. */
  readonly files?: Files;
  /** What opens engines, unless a test says otherwise. */
  readonly open?: Opener;
}

/** How a run ended. */
export interface TrainSummary extends Scores, RunEnding {
  /** Optimiser steps done, over all resumptions. */
  readonly step: number;
  /** The folder of the adapter, or of the model with method full; absent after a dry run. */
  readonly output?: string;
  /** The first held-out questions with the answers to them, where `evalGenerate` asks for answers. */
  readonly samples: readonly ReportSample[];
}

/**
 * Trains as a configuration says, in its run folder.
 *
 * @param resolved The configuration, from `runConfig` or `resolveRunConfig`.
 * @param hooks Signal and events.
 * @throws {SpielError} of any kind; `interrupted` when the signal ended it after saving.
 *
 * @example
 * ```ts
 * import { runConfig, trainRun } from "./mod.ts";
 *
 * const resolved = runConfig({ model: "models/base", data: ["train.jsonl"], maxSteps: 100 });
 * const { output } = await trainRun(resolved, {
 *   onEvent: (event) => {
 *     if (event.type === "step") console.log(event.step, event.loss);
 *   },
 * });
 * ```
 */
export async function trainRun(
  resolved: ResolvedConfig,
  hooks: RunHooks = {},
): Promise<TrainSummary> {
  const { signal, open, files = denoFiles } = hooks;
  const tell = async (event: TrainEvent) => await hooks.onEvent?.(event);
  const warn = (message: string) => tell({ type: "warning", message });
  await using held = new AsyncDisposableStack();
  const context: RunContext = { files, open, signal, tell, warn, held };
  const named = await localFiles(resolved.config, context);
  const data = await checkFiles(resolved, named, context);
  const folder = resolved.config.dryRun ? null : await openFolder(resolved, named, context);
  const recorded = folder ?? await lookAtFolder(resolved, context);
  const finished = await finishedRun(files, recorded, resolved.config);
  if (finished !== null) {
    await tell({ type: "finished", step: finished.step, output: finished.output });
    return { ...finished, samples: [] };
  }
  const prepared = await prepareRun(resolved, data, recorded, context);
  if (folder === null) {
    await tell({ type: "estimated", ...await estimate(prepared, context) });
    return dryRunSummary();
  }
  const run: RealRun = { ...prepared, folder };
  const begun = await beginRun(run, context, hooks);
  return await train(run, begun, context);
}

/** Where a dry run would begin, and how long its steps would take; null where its model cannot be loaded yet. */
async function estimate(
  run: PreparedRun,
  context: RunContext,
): Promise<{ step: number; time: StepTime | null }> {
  if (!run.hasWeights) return { step: run.beginning.checkpoint?.state.step ?? 0, time: null };
  const { model: { engine }, position: { step, microBatch } } = await loadRun(run, context);
  const { data: { stream, totalMicroBatches }, options: { update } } = run;
  const left = { update, totalMicroBatches: totalMicroBatches - microBatch };
  return { step, time: await estimateSteps(engine, stream, left, context.signal) };
}

function dryRunSummary(): TrainSummary {
  const ending = { stoppedEarly: false, savedStep: 0, best: null, elapsedS: 0 };
  return { step: 0, ...ending, peakMemoryBytes: peakMemory(), samples: [] };
}

/** Trains to the end and saves the result; a run that ends otherwise leaves a report. */
async function train(run: RealRun, begun: BegunRun, context: RunContext): Promise<TrainSummary> {
  const { resolved, source, folder, beginning } = run;
  const { identity, model: { engine, planned, trained }, position, journal } = begun;
  const output: OutputParts = {
    ...{ engine, files: context.files, source, tensors: planned.plan.tensors, trained, folder },
    ...{ config: resolved.config, baseModelHash: identity.base_model_hash },
  };
  const about = { resolved, resumedAt: beginning.checkpoint === null ? null : position.step };
  const samples = new Samples(position.evaluatedStep === null);
  const profiler = resolved.config.profile
    ? new StepProfiler(engine, position.step + 1)
    : undefined;
  let result: TrainingResult;
  try {
    const trainer = await trainerOf(run, begun, { samples, profiler }, context);
    result = await trainer.run();
  } catch (error) {
    if (endsInOrder(error)) {
      await leave(
        () => writeReport(output, { ...about, samples: samples.ofLast, ...failureOf(error) }),
        context,
      );
      await leave(() => tellProfile(profiler, output, context), context);
    }
    throw error;
  }
  const tellRest = () => tellProfile(profiler, output, context);
  return await finish(output, about, samples, result, journal, tellRest);
}

async function trainerOf(
  { resolved: { config }, source, tokenizer, folder, data, options }: RealRun,
  { identity, model: { engine, planned, trained }, position, metrics, journal }: BegunRun,
  { samples, profiler }: { samples: Samples; profiler: StepProfiler | undefined },
  { files, signal, tell, warn }: RunContext,
): Promise<Trainer> {
  const answers = { ...tokenizer, maxLength: source.config.max_position_embeddings };
  const onProgress = (progress: EvaluationProgress) => tell({ type: "evaluating", ...progress });
  const { keep } = config;
  const { precision } = planned.plan;
  const saved = { engine, trained, identity, precision, keep };
  const saving = { ...saved, files, folder: folder.path, onWarning: warn };
  const parts: TrainerParts = {
    engine,
    batches: data.stream,
    evaluate: await evaluationOf(engine, config, data, answers, samples, onProgress),
    save: async (position) => {
      // A checkpoint never outlives the lines that lead up to it.
      await metrics.sync();
      return await saveRun(saving, position);
    },
    onEvent: (event) => {
      if (event.type === "eval" && event.isBest) samples.keepAsBest();
      return journal.record(event);
    },
    profiler,
    signal,
    elapsedBefore: metrics.elapsedBefore,
  };
  return new Trainer(parts, options, position);
}

/** Writes down what the steps asked of the device, where that was to be counted and the engine can tell. */
async function tellProfile(
  profiler: StepProfiler | undefined,
  { engine, folder }: OutputParts,
  { tell, warn }: RunContext,
): Promise<void> {
  if (profiler === undefined) return;
  let report: ProfileReport;
  try {
    report = await profiler.report();
  } catch (error) {
    if (!isSpielError(error)) throw error;
    return await warn(`There is no profile: ${error.message}`);
  }
  await folder.writeProfile(profileRecord(report, engine.info));
  const trace = traceRecord(report, engine.info);
  if (trace !== null) await folder.writeTrace(trace);
  const tracePath = trace === null ? null : folder.tracePath;
  await tell({ type: "profile", report, path: folder.profilePath, tracePath });
}

/** Whether a run was stopped or broke down, so that there is something to tell of it. */
function endsInOrder(error: unknown): error is SpielError {
  return isSpielError(error) && ["interrupted", "numeric"].includes(error.kind);
}

function failureOf({ kind, message }: SpielError): Pick<ReportParts, "failure"> {
  return kind === "numeric" ? { failure: message } : {};
}

/** Leaves a record of a run whose end is told by another error, whatever comes of it. */
async function leave(record: () => Promise<void>, { warn }: RunContext): Promise<void> {
  try {
    await record();
  } catch (cause) {
    if (!isSpielError(cause)) throw cause;
    await warn(cause.message);
  }
}

/** Saves what was asked for, the last state or the best one, and tells how the run ended. */
async function finish(
  output: OutputParts,
  origin: Omit<ReportParts, "samples">,
  answers: Samples,
  { position, stoppedEarly, elapsedS, unsaved }: TrainingResult,
  journal: Journal,
  tellRest: () => Promise<void>,
): Promise<TrainSummary> {
  const { step, best } = position;
  const wanted = output.config.result === "best" && best !== null && best.step > 0
    ? best.step
    : step;
  const onWarning = (message: string) => journal.record({ type: "warning", message });
  const returned = wanted !== step && await returnToCheckpoint(output, wanted, onWarning);
  const savedStep = returned ? wanted : step;
  const samples = returned ? answers.ofBest : answers.ofLast;
  const path = await saveOutput(output, savedStep);
  const scores = journal.scoresAt(savedStep);
  const worse = worseThanUntrained(scores.before, scores.after, best);
  if (worse !== null) await onWarning(worse);
  const ending = { stoppedEarly, savedStep, best, elapsedS, peakMemoryBytes: peakMemory() };
  await journal.record({ type: "done", step, ...ending, output: path });
  // What goes wrong from here on costs nothing of the result.
  const unreported = await storageFailure(() => writeReport(output, { ...origin, samples }));
  const untold = await storageFailure(tellRest);
  const failure = unreported ?? unsaved ?? untold;
  if (failure !== null) {
    const message = `${failure.message}; the result in "${path}" is complete`;
    throw new SpielError("storage", message, { cause: failure });
  }
  return { step, ...ending, output: path, ...scores, samples };
}
