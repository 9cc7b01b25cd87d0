/** A whole run from a configuration: open, load, train or go on, save. Prints nothing; tells all by events. */

import { otherBaseWarning } from "../adapter/base_model.ts";
import { loadSftAdapter } from "../adapter/sft.ts";
import { loadNewestCheckpoint } from "../checkpoint/checkpoint.ts";
import { movedWarning, refuseOtherRun } from "../checkpoint/state.ts";
import { open } from "../engine/open.ts";
import { peakMemory } from "../engine/peak_memory.ts";
import { isSpielError, SpielError } from "../errors.ts";
import { denoFiles, type Files } from "../io/files.ts";
import { createModel, planModel } from "../model/load.ts";
import { tokenizerOf } from "../model/tokenizer.ts";
import { openModelSource, openWithoutWeights } from "../model/source.ts";
import { saveRun } from "./checkpointing.ts";
import type { EvaluationProgress } from "./evaluate.ts";
import type { RunEnding, TrainEvent } from "./events.ts";
import { Journal, type JournalHooks, type Scores } from "./journal.ts";
import { MetricsWriter } from "./metrics.ts";
import { trainerOptions } from "./options.ts";
import { worseThanUntrained } from "./outcome.ts";
import type { ReportSample } from "./report.ts";
import { configRecord, type ResolvedConfig } from "./run_config.ts";
import { profileRecord, StepProfiler } from "./profile.ts";
import { checkData, dataCounts, dataWarnings, loadRunData } from "./run_data.ts";
import { evaluationOf, Samples } from "./run_evaluation.ts";
import { RunFolder } from "./run_folder.ts";
import { adapterDigest, refuseConflicts, runIdentity } from "./run_identity.ts";
import { beginOrGoOn, trainable, trainedOf, useOf } from "./run_model.ts";
import {
  type OutputParts,
  type ReportParts,
  returnToCheckpoint,
  saveOutput,
  writeReport,
} from "./run_output.ts";
import { storageFailure } from "./saving.ts";
import { Trainer, type TrainingResult } from "./trainer.ts";

/** What a caller can hook into a run. */
export interface RunHooks extends JournalHooks {
  /** Stops the run after the step under way, with a checkpoint to resume from. */
  readonly signal?: AbortSignal;
  /** The disk, unless a test says otherwise. */
  readonly files?: Files;
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
  const { config } = resolved;
  const { signal, files = denoFiles } = hooks;
  const tell = async (event: TrainEvent) => await hooks.onEvent?.(event);
  const onWarning = (message: string) => tell({ type: "warning", message });
  // What is quickly seen to be wrong is told before anything that takes time.
  checkData([...config.data, ...config.evalData], config);
  using folder = config.dryRun
    ? null
    : await RunFolder.open(files, config.out, { resume: config.resume });
  if (folder !== null) {
    const output = config.method === "full" ? folder.modelPath : folder.adapterPath;
    const { model, adapter = [], data, evalData } = config;
    folder.refuseInputsIn(output, [model, adapter, data, evalData].flat());
    if (config.resume) await refuseConflicts(files, folder, resolved);
  }
  using source = config.init === "random"
    ? openWithoutWeights(config.model)
    : openModelSource(config.model);
  await using engine = await open(config);
  await tell({ type: "opened", info: engine.info });
  const checkpoint = folder !== null && config.resume
    ? await loadNewestCheckpoint(files, folder.path, { onWarning })
    : null;
  const { tokenizer, stopTokens } = tokenizerOf(source);

  let adapter = config.adapter === undefined || checkpoint !== null
    ? null
    : loadSftAdapter(config.adapter);
  const planned = await planModel(engine, source, useOf(config, { checkpoint, adapter }));
  const trained = trainedOf(config, planned);
  const { memory, parameters } = planned.plan;
  await tell({ type: "planned", memory, parameters, trainable: trainable(trained, parameters) });

  const data = await loadRunData(config, tokenizer, { signal, onEvent: tell });
  const datasets = data.heldOut === null ? [data.train] : [data.train, data.heldOut];
  for (const warning of dataWarnings(datasets, config.maxLength, source)) await onWarning(warning);
  const heldOut = data.heldOut === null
    ? {}
    : { eval: dataCounts(data.heldOut, config.evalExamples) };
  const { totalSteps } = data;
  const filled = data.stream.fillRate(0);
  await tell({ type: "data", ...dataCounts(data.train), ...heldOut, filled, totalSteps });
  const vocabulary = source.config.vocab_size;
  const options = trainerOptions(config, { totalSteps, vocabulary });
  if (folder === null) return dryRunSummary();

  const recorded = checkpoint?.state.run.adapter_digest ?? null;
  const digest = await adapterDigest(files, config.adapter, recorded);
  const identity = await runIdentity(resolved, { source, data, adapterDigest: digest });
  const { tensors } = planned.plan;
  const parts = { engine, files, source, tensors, trained, folder, config };
  const output: OutputParts = { ...parts, baseModelHash: identity.base_model_hash };
  if (checkpoint !== null) {
    refuseOtherRun(checkpoint.state, identity, checkpoint.path);
    const moved = movedWarning(checkpoint.state, engine.info);
    if (moved !== null) await onWarning(moved);
  }
  if (adapter !== null && config.adapter !== undefined) {
    const hash = identity.base_model_hash;
    const warning = otherBaseWarning(adapter.config, config.adapter, hash, config.model);
    if (warning !== null) await onWarning(warning);
  }
  const init = config.init === "random" ? { seed: config.seed, std: config.initStd } : null;
  await createModel(engine, source, planned, { init, signal });
  const position = await beginOrGoOn(engine, trained, { checkpoint, adapter }, config, options);
  // Large, and not needed again: the engine has its own copy.
  adapter = null;
  const trials = trained.kind === "deltas" ? await engine.tryGradients() : [];
  if (trials.length > 0) await tell({ type: "gradients", trials });

  // The first trace of the run: one that ends before leaves the folder free for the same command.
  await folder.writeConfig(configRecord(resolved));
  using metrics = await MetricsWriter.open(files, folder.metricsPath, checkpoint && position);
  const journal = new Journal(metrics, hooks);
  const { history, elapsedBefore } = metrics;
  const { step } = position;
  if (checkpoint !== null) {
    const { path } = checkpoint;
    await tell({ type: "resumed", step, path, history, elapsedS: elapsedBefore });
    const told = history.findLast(({ event }) => event === "checkpoint")?.step;
    // A crash came between the checkpoint and its line.
    if (told !== step) await journal.write({ event: "checkpoint", step, path });
  }
  const samples = new Samples(position.evaluatedStep === null);
  const profiler = config.profile ? new StepProfiler(engine) : undefined;
  const onProgress = (progress: EvaluationProgress) => tell({ type: "evaluating", ...progress });
  const trainer = new Trainer(
    {
      engine,
      batches: data.stream,
      evaluate: evaluationOf(engine, config, data, { tokenizer, stopTokens }, samples, onProgress),
      save: async (position) => {
        // A checkpoint never outlives the lines that lead up to it.
        await metrics.sync();
        const { keep } = config;
        return await saveRun(
          { engine, trained, files, folder: folder.path, identity, keep, onWarning },
          position,
        );
      },
      onEvent: (event) => journal.record(event),
      profiler,
      signal,
      elapsedBefore,
    },
    options,
    position,
  );
  const about = { resolved, resumedAt: checkpoint === null ? null : step };
  let result: TrainingResult;
  try {
    result = await trainer.run();
    if (profiler !== undefined) await tell(await profileEvent(profiler, output));
  } catch (error) {
    await reportFailure(output, { ...about, samples: samples.list }, error, onWarning);
    throw error;
  }
  return await finish(output, { ...about, samples: samples.list }, result, journal);
}

/** Writes down what the steps asked of the device. */
async function profileEvent(
  profiler: StepProfiler,
  { engine, folder }: OutputParts,
): Promise<TrainEvent> {
  const report = await profiler.report();
  await folder.writeProfile(profileRecord(report, engine.info));
  return { type: "profile", report, path: folder.profilePath };
}

function dryRunSummary(): TrainSummary {
  const ending = { stoppedEarly: false, savedStep: 0, best: null, elapsedS: 0 };
  return { step: 0, ...ending, peakMemoryBytes: peakMemory(), samples: [] };
}

/** Leaves a report of a run that was stopped or broke down; its end is told by `error`, whatever comes of it. */
async function reportFailure(
  output: OutputParts,
  about: ReportParts,
  error: unknown,
  onWarning: (message: string) => Promise<void>,
): Promise<void> {
  if (!isSpielError(error) || !["interrupted", "numeric"].includes(error.kind)) return;
  const failure = error.kind === "numeric" ? { failure: error.message } : {};
  try {
    await writeReport(output, { ...about, ...failure });
  } catch (cause) {
    if (!isSpielError(cause)) throw cause;
    await onWarning(cause.message);
  }
}

async function finish(
  output: OutputParts,
  about: ReportParts,
  { position, stoppedEarly, elapsedS, unsaved }: TrainingResult,
  journal: Journal,
): Promise<TrainSummary> {
  const { step, best } = position;
  // Whoever asks for an early stop wants the best state, not the one that had stopped improving.
  const wanted = output.config.earlyStopPatience > 0 && best !== null && best.step > 0
    ? best.step
    : step;
  const onWarning = (message: string) => journal.record({ type: "warning", message });
  const returned = wanted !== step && await returnToCheckpoint(output, wanted, onWarning);
  const savedStep = returned ? wanted : step;
  const path = await saveOutput(output, savedStep);
  const scores = journal.scoresAt(savedStep);
  const worse = worseThanUntrained(scores.before, scores.after, best);
  if (worse !== null) await onWarning(worse);
  const ending = { stoppedEarly, savedStep, best, elapsedS, peakMemoryBytes: peakMemory() };
  await journal.record({ type: "done", step, ...ending, output: path });
  const failure = await storageFailure(() => writeReport(output, about)) ?? unsaved;
  if (failure !== null) {
    const message = `${failure.message}; the result in "${path}" is complete`;
    throw new SpielError("storage", message, { cause: failure });
  }
  return { step, ...ending, output: path, ...scores, samples: about.samples };
}
