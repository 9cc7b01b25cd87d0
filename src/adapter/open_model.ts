/** Opens an engine with a model and perhaps an adapter in it, for everything but training. */

import type { Engine } from "../engine/engine.ts";
import { open, type OpenOptions } from "../engine/open.ts";
import type { ModelPlan, Precision } from "../engine/protocol.gen.ts";
import { attachDeltas, inferenceUse, loadModel, memoryBudgetOf } from "../model/load.ts";
import { modelIdentity, type ModelSource, openModelSource } from "../model/source.ts";
import { countFittingDeltas, otherBaseWarning } from "./base_model.ts";
import { loadSftAdapter } from "./sft.ts";

/** Which model to open, and where. */
export interface OpenModelOptions extends OpenOptions {
  /** A Hugging Face folder or a .gguf file. */
  readonly model: string;
  /** An adapter folder in the SFT layout. */
  readonly adapter?: string | undefined;
  /** What a GPU keeps decoded weights in; f32 when absent. */
  readonly precision?: Precision | undefined;
  /** Most bytes that the model may take; what is free when absent, no limit when 0. */
  readonly memoryBudget?: number | undefined;
  /** Stops the loading. */
  readonly signal?: AbortSignal | undefined;
  /** Told in one sentence of what is odd but no error, and awaited. */
  readonly onWarning?: ((message: string) => void | Promise<void>) | undefined;
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

/**
 * Opens an engine, loads a model into it and attaches the adapter.
 *
 * @param microBatchTokens Most tokens that will be computed at once.
 * @param remedies What the user can do where the memory does not suffice, besides taking a smaller model.
 * @throws {SpielError} `data` for bad files, `device` when the memory does not suffice.
 */
export async function openModel(
  options: OpenModelOptions,
  microBatchTokens: number,
  remedies: readonly string[] = [],
): Promise<OpenModel> {
  const { model, adapter: folder, memoryBudget, signal } = options;
  const adapter = folder === undefined ? null : loadSftAdapter(folder);
  const source = openModelSource(model);
  let engine: Engine | undefined;
  try {
    engine = await open(options);
    const inference = inferenceUse(microBatchTokens);
    const use = {
      ...inference,
      precision: options.precision ?? inference.precision,
      memoryBudget: memoryBudgetOf(memoryBudget),
      remedies: [...inference.remedies, ...remedies],
      deltas: (plan: ModelPlan) =>
        adapter === null || folder === undefined
          ? []
          : countFittingDeltas(adapter, folder, plan, model),
    };
    const plan = await loadModel(engine, source, use, { signal });
    if (adapter !== null && folder !== undefined) {
      const { tensors } = plan;
      const fitting = { path: model, tensors, hash: () => modelIdentity(source) };
      const warning = await otherBaseWarning(adapter, folder, fitting);
      if (warning !== null) await options.onWarning?.(warning);
      await attachDeltas(engine, adapter.modules);
    }
    return disposable({ engine, source, plan });
  } catch (error) {
    await engine?.close();
    source[Symbol.dispose]();
    throw error;
  }
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
