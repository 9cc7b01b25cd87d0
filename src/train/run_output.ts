/** What a run leaves behind: the adapter, or the model when every weight was trained, and the report. */

import { baseShapes } from "../adapter/base_model.ts";
import { saveSftAdapter } from "../adapter/layouts/sft.ts";
import { REFERENCE_FIELDS } from "../adapter/layouts/sft_config.ts";
import { PROVENANCE_VERSION } from "../adapter/provenance.ts";
import { loadCheckpoint, type LoadedCheckpoint, type OnWarning } from "../checkpoint/checkpoint.ts";
import type { Engine } from "../engine/engine.ts";
import type { TensorInfo } from "../engine/protocol.gen.ts";
import { isSpielError } from "../errors.ts";
import { modelNameForOthers } from "../hub/name.ts";
import { type Files, storageError } from "../io/files.ts";
import { saveModel } from "../model/save.ts";
import type { ModelSource } from "../model/source.ts";
import { growthOf } from "../spiel/growth/mod.ts";
import { VERSION } from "../version.ts";
import { parseMetrics } from "./metrics.ts";
import { renderReport, type ReportSample } from "./report.ts";
import { quantizeOf } from "./run_model.ts";
import { configRecord, type ResolvedConfig, type RunConfig } from "./run_config.ts";
import type { RunFolder } from "./run_folder.ts";
import { stateParts, type Trained, type TrainedModule, writeSnapshot } from "./snapshot.ts";

/** What the output is made from. */
export interface OutputParts {
  readonly engine: Engine;
  readonly files: Files;
  readonly source: ModelSource;
  /** Every tensor of the model. */
  readonly tensors: readonly TensorInfo[];
  readonly trained: Trained;
  readonly folder: RunFolder;
  readonly config: RunConfig;
  /** Identifies the base model. */
  readonly baseModelHash: string;
}

/**
 * Puts the state of an earlier checkpoint of this run back into the engine, if it is intact.
 *
 * @returns Whether it was; else a warning says so, and the state stays as it is.
 */
export async function returnToCheckpoint(
  { engine, trained, files, folder }: OutputParts,
  step: number,
  onWarning: OnWarning,
): Promise<boolean> {
  let checkpoint: LoadedCheckpoint;
  try {
    checkpoint = await loadCheckpoint(files, folder.path, step);
  } catch (error) {
    if (!isSpielError(error)) throw error;
    await onWarning(`${error.message}; the last state is saved instead of this better one`);
    return false;
  }
  await writeSnapshot(engine, trained, checkpoint, { isOpen: false, samples: 0 });
  return true;
}

/** Saves the adapter, or the model in f32 with method full. Returns its folder. */
export async function saveOutput(parts: OutputParts, step: number): Promise<string> {
  const { engine, files, source, trained, folder } = parts;
  if (trained.kind === "weights") {
    const path = folder.modelPath;
    await saveModel(files, engine, source, trained.tensors, path, { dtype: "f32" });
    return path;
  }
  const modules = new Map(trained.modules.map(({ module, count }) => {
    const indices = () => stateParts<Uint32Array<ArrayBuffer>>(engine, module, "indices", count);
    const values = () => stateParts<Float32Array<ArrayBuffer>>(engine, module, "values", count);
    return [module, { count, indices, values }] as const;
  }));
  const config = adapterConfig(parts, trained.modules, step);
  await saveSftAdapter(files, folder.adapterPath, { config, modules });
  return folder.adapterPath;
}

/** How many deltas there are and where: as configured, or as the adapter brought them that the run began with. */
function budgetFields(config: RunConfig, modules: readonly TrainedModule[]) {
  if (config.adapter === undefined) {
    return {
      density: config.density ?? null,
      num_tunable_weights: config.numDeltas ?? null,
      target_modules: [...config.targetModules],
    };
  }
  return {
    density: null,
    num_tunable_weights: modules.reduce((sum, { count }) => sum + count, 0),
    target_modules: modules.map(({ module }) => module),
  };
}

function adapterConfig(
  { config, tensors, baseModelHash }: OutputParts,
  modules: readonly TrainedModule[],
  step: number,
) {
  const growth = growthOf(config.method);
  const quantize = quantizeOf(config);
  return {
    ...REFERENCE_FIELDS,
    base_model_name_or_path: modelNameForOthers(config.model),
    ...budgetFields(config, modules),
    initial_reselection_rate: config.initialReselectionRate,
    reselection_rate_policy: config.reselectionRatePolicy,
    reselection_steps: config.reselectionSteps,
    selection_accumulation_steps: config.selectionAccumulationSteps,
    selection_algorithm: growth?.selectionAlgorithm ?? "rigl",
    spiel: {
      format_version: PROVENANCE_VERSION,
      program_version: VERSION,
      base_model_hash: baseModelHash,
      method: config.method,
      step,
      ...(quantize !== undefined && { quantize }),
      base_shapes: baseShapes(tensors),
    },
  };
}

/** What the report tells besides the metrics. */
export interface ReportParts {
  readonly resolved: ResolvedConfig;
  /** The step that this process went on from, or null. */
  readonly resumedAt: number | null;
  readonly samples: readonly ReportSample[];
  /** Why the run broke down, where it did. */
  readonly failure?: string;
}

/** Writes `report.html` from the metrics so far. @throws SpielError "storage". */
export async function writeReport(
  { engine, files, folder, config }: OutputParts,
  { resolved, resumedAt, samples, failure }: ReportParts,
): Promise<void> {
  const metrics = await readMetrics(files, folder.metricsPath);
  const { host, device, adapter, threads, version } = engine.info;
  const html = renderReport(metrics, {
    title: folder.path,
    facts: {
      Model: config.model,
      Method: config.method,
      Engine: `${version} on ${host} ${device}`,
      Machine: `${adapter}, ${threads === 1 ? "1 thread" : `${threads} threads`}`,
      ...(resumedAt === null ? {} : { Resumed: `after step ${resumedAt}` }),
    },
    config: configRecord(resolved),
    samples,
    ...(failure === undefined ? {} : { failure }),
  });
  await folder.writeReport(html);
}

async function readMetrics(files: Files, path: string) {
  try {
    return parseMetrics(new TextDecoder().decode(await files.read(path)), path);
  } catch (error) {
    throw storageError(`Cannot read "${path}" for the report`, error);
  }
}
