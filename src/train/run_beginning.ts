/** Where a run's work begins: it is the run it claims to be, its model is in the engine, and its folder knows it. */

import { otherBaseWarning } from "../adapter/base_model.ts";
import { otherQuantizationWarning } from "../adapter/quantized_base.ts";
import { movedWarning, refuseOtherRun, type RunIdentity } from "../checkpoint/state.ts";
import type { Engine } from "../engine/engine.ts";
import { createModel } from "../model/load.ts";
import { forgetEvaluation } from "./checkpointing.ts";
import { Journal, type JournalHooks } from "./journal.ts";
import { asBegun } from "./kept_precision.ts";
import { MetricsWriter } from "./metrics.ts";
import type { TrainingPosition } from "./position.ts";
import { configRecord, type ResolvedConfig } from "./run_config.ts";
import type { RunFolder } from "./run_folder.ts";
import { adapterDigest, runIdentity } from "./run_identity.ts";
import { beginOrGoOn, planRun, quantizeOf, type RunModel } from "./run_model.ts";
import { type PreparedRun, type RunContext, tellPlanned } from "./run_preparation.ts";

/** A prepared run with a folder to leave its result in. */
export type RealRun = PreparedRun & { readonly folder: RunFolder };

/** A run under way. */
export interface BegunRun {
  readonly identity: RunIdentity;
  /** Loaded, with its deltas. */
  readonly model: RunModel;
  readonly position: TrainingPosition;
  readonly metrics: MetricsWriter;
  readonly journal: Journal;
}

/** Fills the engine and opens the run's records, at its first step or where it stopped. */
export async function beginRun(
  run: RealRun,
  context: RunContext,
  hooks: JournalHooks,
): Promise<BegunRun> {
  const { folder, beginning: { checkpoint } } = run;
  const { files, held } = context;
  const { identity, model, position } = await loadRun(run, context);

  // The first trace of the run: one that ends before leaves the folder free for the same command.
  await folder.writeConfig(configRecord(knownAs(run)));
  const metrics = held.use(
    await MetricsWriter.open(files, folder.metricsPath, checkpoint === null ? null : position),
  );
  const journal = new Journal(metrics, hooks);
  const begun = { identity, model, position, metrics, journal };
  if (checkpoint !== null) await goOn(begun, checkpoint.path, context);
  return begun;
}

/** The configuration by which the run is known. */
function knownAs({ resolved, recorded, beginning: { checkpoint } }: PreparedRun): ResolvedConfig {
  return checkpoint === null ? resolved : asBegun(resolved, recorded.record);
}

/** Identifies a run, and loads the model and what the run begins with into the engine. */
export async function loadRun(
  run: PreparedRun,
  context: RunContext,
): Promise<Pick<BegunRun, "identity" | "model" | "position">> {
  const { preferred, beginning } = run;
  const identity = await identify(run, context);
  const { model, position } = await preferred.attempt((engine) => load(run, engine, context));
  // Large, and not needed again: the engine has its own copy.
  beginning.adapter = null;
  const { checkpoint } = beginning;
  const moved = checkpoint && movedWarning(checkpoint.state, model.engine.info);
  if (moved !== null) await context.warn(moved);
  return { identity, model, position };
}

/** Loads the model, planned anew where the engine is another than it was planned for, and what the run begins with. */
async function load(
  { resolved: { config }, source, model: planned, beginning, options }: PreparedRun,
  engine: Engine,
  context: RunContext,
): Promise<Pick<BegunRun, "model" | "position">> {
  let model = planned;
  if (engine !== planned.engine) {
    model = await planRun(engine, source, config, beginning);
    await tellPlanned(model, context);
  }
  const { trained } = model;
  const init = config.init === "random" ? { seed: config.seed, std: config.initStd } : null;
  await createModel(engine, source, model.planned, { init, signal: context.signal });
  const position = await beginOrGoOn(engine, trained, beginning, config, options);
  const trials = trained.kind === "deltas" ? await engine.tryGradients() : [];
  if (trials.length > 0) await context.tell({ type: "gradients", trials });
  return { model, position };
}

/** Identifies the run; refuses another run's checkpoint, and warns of another base model. */
async function identify(run: PreparedRun, { files, warn }: RunContext): Promise<RunIdentity> {
  const { resolved: { config }, beginning: { checkpoint, adapter }, source, data, model } = run;
  const recorded = checkpoint?.state.run.adapter_digest ?? null;
  const digest = await adapterDigest(files, config.adapter, recorded);
  const identity = await runIdentity(knownAs(run), { source, data, adapterDigest: digest });
  if (checkpoint !== null) refuseOtherRun(checkpoint.state, identity, checkpoint.path);
  if (adapter !== null && config.adapter !== undefined) {
    const { tensors } = model.planned.plan;
    const fitting = { path: config.model, tensors, hash: () => identity.base_model_hash };
    const warning = await otherBaseWarning(adapter, config.adapter, fitting);
    if (warning !== null) await warn(warning);
    const quantized = otherQuantizationWarning(adapter, config.adapter, quantizeOf(config));
    if (quantized !== null) await warn(quantized);
  }
  return identity;
}

/** Tells where a resumed run stands, and mends what a crash between a checkpoint and its lines took. */
async function goOn(
  { position, metrics, journal }: BegunRun,
  path: string,
  { tell, warn }: RunContext,
): Promise<void> {
  const { step } = position;
  const { history, elapsedBefore } = metrics;
  await tell({ type: "resumed", step, path, history, elapsedS: elapsedBefore });
  const told = history.findLast(({ event }) => event === "checkpoint")?.step;
  const line = { event: "checkpoint", step, path, elapsed_s: elapsedBefore } as const;
  if (told !== step) await journal.write(line);
  const isTold = history.some((line) => line.event === "eval" && line.step === step);
  if (position.evaluatedStep === step && !isTold) {
    await warn(`"${metrics.path}" has lost the evaluation of step ${step}, which is made again`);
    forgetEvaluation(position);
  }
}
