/** Opens an engine with a model and perhaps an adapter in it, for everything but training. */

import type { HubUse } from "../hub/hub.ts";
import type { Engine } from "../engine/engine.ts";
import type { OpenOptions } from "../engine/open.ts";
import { type Opener, PreferredEngine } from "../engine/preferred.ts";
import type { ModelPlan } from "../engine/protocol.gen.ts";
import { isQuantized } from "../model/formats.ts";
import {
  attachDeltas,
  inferenceUse,
  loadModel,
  memoryBudgetOf,
  type ModelUse,
  type QuantizedFormat,
} from "../model/load.ts";
import { localModelPath } from "../model/local_model.ts";
import { modelIdentity, type ModelSource, openModelSource } from "../model/source.ts";
import type { TensorChanges } from "../model/tensor_changes.ts";
import type { Adapter } from "./adapter.ts";
import { baseModelOf, countFittingDeltas, fittingChanges, otherBaseWarning } from "./base_model.ts";
import { loadAdapter } from "./load.ts";
import { quantizationFor } from "./quantized_base.ts";

/** Which model to open, and where. */
export interface OpenModelOptions extends OpenOptions, HubUse {
  /** A Hugging Face folder, a .gguf file, or a repository of the hub as `org/name[@revision]`. */
  readonly model: string;
  /** An adapter folder of any layout that is read. */
  readonly adapter?: string | undefined;
  /** How the layers of a model in 16 or 32 bits are held; as the adapter was trained, else as stored, when absent. */
  readonly quantize?: QuantizedFormat | "none" | undefined;
  /** What products by weights round to; f32 when absent. */
  readonly precision?: ModelUse["precision"] | undefined;
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
 * Opens a model's files and loads it as `openSource` does.
 *
 * @throws {SpielError} `data` for bad files, `device` when the memory does not suffice.
 */
export async function openModel(
  options: OpenModelOptions,
  purpose: ModelPurpose,
  open?: Opener,
): Promise<OpenModel> {
  await using held = new AsyncDisposableStack();
  const source = held.use(openModelSource(await localModelPath(options.model, options)));
  const model = held.use(await openSource(source, options, purpose, open));
  const kept = held.move();
  return { ...model, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/**
 * Opens an engine, loads the model of open files into it and adds the adapter: deltas are attached, and matrices that
 * change as a whole are changed in f32 while they are loaded. The files stay the caller's to close.
 *
 * @throws {SpielError} `data` for bad files, `device` when the memory does not suffice.
 */
export async function openSource(
  source: ModelSource,
  options: OpenModelOptions,
  { microBatchTokens, remedies = [], changedAs = () => "f32" }: ModelPurpose,
  open?: Opener,
): Promise<OpenModel> {
  const { model, adapter: folder, memoryBudget, signal } = options;
  const warn = async (message: string) => await options.onWarning?.(message);
  await using held = new AsyncDisposableStack();
  const adapter = folder === undefined ? null : loadAdapter(folder, baseModelOf(source));
  const preferred = held.use(await PreferredEngine.open(options, { onWarning: warn, open }));
  const { quantize, notice } = quantizationFor(options.quantize, adapter, folder, source);
  if (notice !== null) await warn(notice);
  const inference = inferenceUse(microBatchTokens);
  const use: ModelUse = {
    ...inference,
    quantize,
    precision: options.precision ?? inference.precision,
    memoryBudget: memoryBudgetOf(memoryBudget),
    remedies: [...inference.remedies, ...remedies],
  };
  const added = adapter === null || folder === undefined ? null : {
    deltas: (plan: ModelPlan) => countFittingDeltas(adapter, folder, plan, model),
    changes: fittingChanges(adapter, folder, source, changedAs(source)),
  };
  const loaded = await preferred.attempt(async (engine) => {
    const plan = await loadModel(engine, source, { ...use, ...added }, { signal });
    if (adapter !== null) await attachDeltas(engine, adapter.modules);
    return { engine, source, plan };
  });
  if (adapter !== null && folder !== undefined && added !== null) {
    const warnings = await warningsOf(adapter, folder, source, loaded.plan, added.changes);
    for (const warning of warnings) await warn(warning);
  }
  const kept = held.move();
  return { ...loaded, [Symbol.asyncDispose]: () => kept.disposeAsync() };
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
