/** Where a run's work begins: it is the run it claims to be, its model is in the engine, and its folder knows it. */

import { otherBaseWarning } from "../adapter/base_model.ts";
import { movedWarning, refuseOtherRun, type RunIdentity } from "../checkpoint/state.ts";
import { createModel } from "../model/load.ts";
import { forgetEvaluation } from "./checkpointing.ts";
import { Journal, type JournalHooks } from "./journal.ts";
import { MetricsWriter } from "./metrics.ts";
import type { TrainingPosition } from "./position.ts";
import { configRecord } from "./run_config.ts";
import type { RunFolder } from "./run_folder.ts";
import { adapterDigest, runIdentity } from "./run_identity.ts";
import { beginOrGoOn } from "./run_model.ts";
import type { PreparedRun, RunContext } from "./run_preparation.ts";

/** A prepared run with a folder to leave its result in. */
export type RealRun = PreparedRun & { readonly folder: RunFolder };

/** A run under way. */
export interface BegunRun {
  readonly identity: RunIdentity;
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
  const { resolved, folder, source, engine, planned, trained, beginning, options } = run;
  const { config } = resolved;
  const { files, signal, tell, held } = context;
  const identity = await identify(run, context);
  const init = config.init === "random" ? { seed: config.seed, std: config.initStd } : null;
  await createModel(engine, source, planned, { init, signal });
  const position = await beginOrGoOn(engine, trained, beginning, config, options);
  // Large, and not needed again: the engine has its own copy.
  beginning.adapter = null;
  const trials = trained.kind === "deltas" ? await engine.tryGradients() : [];
  if (trials.length > 0) await tell({ type: "gradients", trials });

  // The first trace of the run: one that ends before leaves the folder free for the same command.
  await folder.writeConfig(configRecord(resolved));
  const isResumed = beginning.checkpoint !== null;
  const metrics = held.use(
    await MetricsWriter.open(files, folder.metricsPath, isResumed ? position : null),
  );
  const journal = new Journal(metrics, hooks);
  const begun = { identity, position, metrics, journal };
  if (beginning.checkpoint !== null) await goOn(begun, beginning.checkpoint.path, context);
  return begun;
}

/** Identifies the run; refuses another run's checkpoint, and warns of another machine or base model. */
async function identify(
  { resolved, beginning: { checkpoint, adapter }, source, data, planned, engine }: RealRun,
  { files, warn }: RunContext,
): Promise<RunIdentity> {
  const { config } = resolved;
  const recorded = checkpoint?.state.run.adapter_digest ?? null;
  const digest = await adapterDigest(files, config.adapter, recorded);
  const identity = await runIdentity(resolved, { source, data, adapterDigest: digest });
  if (checkpoint !== null) {
    refuseOtherRun(checkpoint.state, identity, checkpoint.path);
    const moved = movedWarning(checkpoint.state, engine.info);
    if (moved !== null) await warn(moved);
  }
  if (adapter !== null && config.adapter !== undefined) {
    const { tensors } = planned.plan;
    const fitting = { path: config.model, tensors, hash: () => identity.base_model_hash };
    const warning = await otherBaseWarning(adapter, config.adapter, fitting);
    if (warning !== null) await warn(warning);
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
  if (told !== step) await journal.write({ event: "checkpoint", step, path });
  const isTold = history.some((line) => line.event === "eval" && line.step === step);
  if (position.evaluatedStep === step && !isTold) {
    await warn(`"${metrics.path}" has lost the evaluation of step ${step}, which is made again`);
    forgetEvaluation(position);
  }
}
