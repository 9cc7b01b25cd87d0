/** The model of a run: what it trains, the deltas it gets, and where these begin or go on. */

import type { Adapter } from "../adapter/adapter.ts";
import { countFittingDeltas } from "../adapter/base_model.ts";
import type { LoadedCheckpoint } from "../checkpoint/checkpoint.ts";
import type { Engine } from "../engine/engine.ts";
import { engineFailure } from "../engine/failure.ts";
import type { DeltaCount, ModelPlan } from "../engine/protocol.gen.ts";
import {
  attachDeltas,
  memoryBudgetOf,
  type ModelUse,
  planModel,
  type PlannedModel,
  type QuantizedFormat,
} from "../model/load.ts";
import type { ModelSource } from "../model/source.ts";
import { allotDeltas, type Budget } from "../spiel/budget.ts";
import { growthOf } from "../spiel/growth/mod.ts";
import { restoreRun } from "./checkpointing.ts";
import type { TrainerOptions } from "./options.ts";
import { startPosition, type TrainingPosition } from "./position.ts";
import type { ResolvedConfig, RunConfig } from "./run_config.ts";
import { deltasIn, type Trained, type TrainedModule } from "./snapshot.ts";

/** Where a run goes on, or else what it begins with; new deltas where there is neither. */
export interface Beginning {
  readonly checkpoint: LoadedCheckpoint | null;
  adapter: Adapter | null;
}

/** A model that is planned for an engine, and what of it is trained. */
export interface RunModel {
  readonly engine: Engine;
  readonly planned: PlannedModel;
  readonly trained: Trained;
}

/** Plans the model of a run. */
export async function planRun(
  engine: Engine,
  source: ModelSource,
  config: RunConfig,
  beginning: Beginning,
): Promise<RunModel> {
  if (beginning.checkpoint !== null) {
    refuseOtherPrecision(engine, precisionOf(config, beginning));
  }
  const planned = await planModel(engine, source, useOf(config, beginning));
  return { engine, planned, trained: trainedOf(config, planned) };
}

/** Refuses to go on where products cannot round as they did when the run began, which a run keeps. */
function refuseOtherPrecision(
  { info: { adapter, precisions } }: Engine,
  precision: ModelUse["precision"],
): void {
  if (precision === "auto" || precisions.includes(precision)) return;
  const message =
    `The run has multiplied in ${precision} so far, which ${adapter} does not do and a run keeps; ` +
    "go on with it on a device that does, or start anew with another --out";
  // Another device may do it.
  throw engineFailure("modelCreate", { code: "deviceUnavailable", message });
}

/** What products by weights round to: in a run that goes on as before, which older checkpoints do not tell. */
function precisionOf({ precision }: RunConfig, { checkpoint }: Beginning): ModelUse["precision"] {
  return checkpoint?.state.precision ?? precision;
}

/** Says which keys choose deltas to no effect, as an adapter to start from brings its own; null where none does. */
export function idleBudgetWarning({ config, origins }: ResolvedConfig): string | null {
  if (config.adapter === undefined) return null;
  const keys = ["density", "num_deltas", "rank_equivalent", "target_modules"] as const;
  const idle = keys.filter((key) => origins[key] !== "default");
  if (idle.length === 0) return null;
  const [what, verb] = [idle.join(" and "), idle.length === 1 ? "changes" : "change"];
  return `${what} ${verb} nothing: the deltas are those of adapter "${config.adapter}"`;
}

/** Attaches the deltas: those of the checkpoint, of the adapter to start from, or new ones. Returns where the run stands. */
export async function beginOrGoOn(
  engine: Engine,
  trained: Trained,
  { checkpoint, adapter }: Beginning,
  config: RunConfig,
  options: TrainerOptions,
): Promise<TrainingPosition> {
  if (checkpoint !== null) return await restoreRun(engine, trained, checkpoint, options);
  if (adapter !== null) await attachDeltas(engine, adapter.modules);
  else if (trained.kind === "deltas") {
    for (const { module, count } of trained.modules) {
      await engine.attachDeltas(module, count, config.seed);
    }
  }
  return startPosition();
}

/** What the engine must make room for. */
function useOf(config: RunConfig, beginning: Beginning): ModelUse {
  const growth = growthOf(config.method);
  return {
    trainable: growth === undefined ? "weights" : "deltas",
    deltas: (plan) => growth === undefined ? [] : deltasOf(config, plan, beginning),
    candidates: growth?.needsWindow ?? false,
    optimizer: growth?.optimizer ?? "adamw",
    microBatchTokens: config.microBatchTokens,
    activationCheckpointing: config.activationCheckpointing,
    precision: precisionOf(config, beginning),
    memoryBudget: memoryBudgetOf(config.memoryBudget),
    quantize: quantizeOf(config),
    remedies: remediesOf(config),
  };
}

/** The format that the base is quantised to; undefined where it stays as it is stored. */
export function quantizeOf({ quantize }: RunConfig): QuantizedFormat | undefined {
  return quantize === "none" ? undefined : quantize;
}

function remediesOf({ method, activationCheckpointing, adapter }: RunConfig): string[] {
  const remedies = ["a smaller --micro-batch-tokens"];
  if (activationCheckpointing === "none") remedies.push("--activation-checkpointing block");
  if (method === "full") remedies.push("a --method with deltas");
  // An adapter to start from brings its own.
  else if (adapter === undefined) remedies.push("a lower --density");
  return remedies;
}

function deltasOf(config: RunConfig, plan: ModelPlan, { checkpoint, adapter }: Beginning) {
  if (adapter !== null && config.adapter !== undefined) {
    return countFittingDeltas(adapter, config.adapter, plan, config.model);
  }
  // The adapter that such a run began with may be gone by now.
  if (checkpoint !== null && config.adapter !== undefined) return deltasIn(checkpoint, plan);
  return allotDeltas(plan, budgetOf(config), config.targetModules);
}

function budgetOf({ density, numDeltas, rankEquivalent }: RunConfig): Budget {
  if (numDeltas !== undefined) return { numDeltas };
  if (rankEquivalent !== undefined) return { rankEquivalent };
  return { density: density ?? 0 };
}

/** What a planned model trains. */
function trainedOf(config: RunConfig, { plan, options }: PlannedModel): Trained {
  const growth = growthOf(config.method);
  return growth === undefined ? { kind: "weights", tensors: plan.tensors } : {
    kind: "deltas",
    modules: trainedModules(plan, options.deltas),
    optimizer: growth.optimizer,
  };
}

/** The modules of a plan that get deltas. */
export function trainedModules(
  { tensors }: Pick<ModelPlan, "tensors">,
  counts: readonly DeltaCount[],
): TrainedModule[] {
  const shapes = new Map(tensors.map(({ deltaModule, shape }) => [deltaModule, shape]));
  return counts.map(({ module, count }) => {
    const [rows = 0, columns = 0] = shapes.get(module) ?? [];
    return { module, count, shape: [rows, columns] };
  });
}

/** How many numbers are trained. */
export function trainable(trained: Trained, parameters: number): number {
  if (trained.kind === "weights") return parameters;
  return trained.modules.reduce((sum, { count }) => sum + count, 0);
}
