/** Opens an engine with a model and perhaps an adapter in it, for everything but training. */

import type { HubUse } from "../hub/hub.ts";
import type { Engine } from "../engine/engine.ts";
import { open, type OpenOptions } from "../engine/open.ts";
import type { ModelPlan, Precision } from "../engine/protocol.gen.ts";
import { isQuantized } from "../model/formats.ts";
import { attachDeltas, inferenceUse, loadModel, memoryBudgetOf } from "../model/load.ts";
import { localModelPath } from "../model/local_model.ts";
import { modelIdentity, type ModelSource, openModelSource } from "../model/source.ts";
import type { TensorChanges } from "../model/tensor_changes.ts";
import type { Adapter } from "./adapter.ts";
import { baseModelOf, countFittingDeltas, fittingChanges, otherBaseWarning } from "./base_model.ts";
import { loadAdapter } from "./load.ts";

/** Which model to open, and where. */
export interface OpenModelOptions extends OpenOptions, HubUse {
  /** A Hugging Face folder, a .gguf file, or a repository of the hub as `org/name[@revision]`. */
  readonly model: string;
  /** An adapter folder of any layout that is read. */
  readonly adapter?: string | undefined;
  /** What a GPU keeps decoded weights in; f32 when absent. */
  readonly precision?: Precision | undefined;
  /** Most bytes that the model may take; what is free when absent, no limit when 0. */
  readonly memoryBudget?: number | undefined;
  /** Stops the loading. */
  readonly signal?: AbortSignal | undefined;
}

/** An open model. Closing it closes the engine. */
export interface OpenModel extends AsyncDisposable {
  /** Holds the weights and deltas. */
  readonly engine: Engine;
  /** The base model's files. */
  readonly source: ModelSource;
  /** What the engine holds. */
  readonly plan: ModelPlan;
}

/** What a model is opened for. */
export interface ModelPurpose {
  /** Most tokens that will be computed at once. */
  readonly microBatchTokens: number;
  /** What the user can do where the memory does not suffice, besides taking a smaller model. */
  readonly remedies?: readonly string[];
  /** How matrices that the adapter changes as a whole are held; in f32 when absent. */
  readonly changedAs?: (source: ModelSource) => TensorChanges["format"];
}

/**
 * Opens an engine, loads a model into it and adds the adapter: deltas are attached, and matrices that change as a whole
 * are changed in f32 while they are loaded.
 *
 * @throws {SpielError} `data` for bad files, `device` when the memory does not suffice.
 */
export async function openModel(
  options: OpenModelOptions,
  { microBatchTokens, remedies = [], changedAs = () => "f32" }: ModelPurpose,
): Promise<OpenModel> {
  const { model, adapter: folder, memoryBudget, signal } = options;
  const source = openModelSource(await localModelPath(model, options));
  let engine: Engine | undefined;
  try {
    const adapter = folder === undefined ? null : loadAdapter(folder, baseModelOf(source));
    engine = await open(options);
    const inference = inferenceUse(microBatchTokens);
    const use = {
      ...inference,
      precision: options.precision ?? inference.precision,
      memoryBudget: memoryBudgetOf(memoryBudget),
      remedies: [...inference.remedies, ...remedies],
    };
    if (adapter === null || folder === undefined) {
      return disposable({ engine, source, plan: await loadModel(engine, source, use, { signal }) });
    }
    const changes = fittingChanges(adapter, folder, source, changedAs(source));
    const deltas = (plan: ModelPlan) => countFittingDeltas(adapter, folder, plan, model);
    const plan = await loadModel(engine, source, { ...use, deltas, changes }, { signal });
    for (const warning of await warningsOf(adapter, folder, source, plan, changes)) {
      await options.onWarning?.(warning);
    }
    await attachDeltas(engine, adapter.modules);
    return disposable({ engine, source, plan });
  } catch (error) {
    await engine?.close();
    source[Symbol.dispose]();
    throw error;
  }
}

async function warningsOf(
  adapter: Adapter,
  folder: string,
  source: ModelSource,
  { tensors }: ModelPlan,
  changes: TensorChanges,
): Promise<string[]> {
  const fitting = { path: source.path, tensors, hash: () => modelIdentity(source) };
  const warning = await otherBaseWarning(adapter, folder, fitting);
  return [warning, quantisedWarning(folder, source, changes)].filter((one) => one !== null);
}

/** The warning for quantised matrices that change as a whole and therefore cannot stay as they are stored. */
function quantisedWarning(
  folder: string,
  { tensors }: ModelSource,
  { of, format }: TensorChanges,
): string | null {
  const formats = [...of.keys()].map((name) => tensors.get(name)?.format ?? "f32")
    .filter(isQuantized);
  if (formats.length === 0) return null;
  const stored = [...new Set(formats)].join(", ");
  return `Adapter "${folder}" changes whole matrices, of which ${formats.length} are stored as ${stored}; ` +
    `they are held as ${format}, which takes more memory`;
}

function disposable(parts: Omit<OpenModel, typeof Symbol.asyncDispose>): OpenModel {
  return {
    ...parts,
    async [Symbol.asyncDispose]() {
      await parts.engine.close();
      parts.source[Symbol.dispose]();
    },
  };
}
