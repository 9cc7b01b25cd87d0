/** Adds an adapter to its model and saves the sum as a Hugging Face folder that other programs load. */

import { denoFiles, type Files } from "../io/files.ts";
import { type SavedDtype, saveModel } from "../model/save.ts";
import type { ModelSource } from "../model/source.ts";
import { openModel, type OpenModelOptions } from "./open_model.ts";
import { refuseTaken } from "./refuse_taken.ts";

/** What to merge, and where to. */
export interface MergeOptions extends OpenModelOptions {
  /** An adapter folder of any layout that is read. */
  readonly adapter: string;
  /** The folder to make; it must not hold anything yet. */
  readonly out: string;
  /** How weights are stored; `f16` for a base model in f16 and `bf16` for any other when absent. */
  readonly dtype?: SavedDtype | undefined;
  /** The disk, unless a test says otherwise. */
  readonly files?: Files;
}

/** What was saved. */
export interface MergeResult {
  /** The folder that was made. */
  readonly out: string;
  /** How weights are stored. */
  readonly dtype: SavedDtype;
  /** Bytes of the weight files. */
  readonly bytes: number;
}

/**
 * Merges. Changes are made in f32, then rounded once to `dtype`.
 *
 * @throws {SpielError} `usage` when `out` is taken, `data` for bad files, `storage` when the disk fails, `environment`
 * when the folder that `out` lies in may not be read and written.
 */
export async function mergeAdapter(options: MergeOptions): Promise<MergeResult> {
  const { out, files = denoFiles, signal } = options;
  await refuseTaken(files, out, "merged model");
  const dtypeFor = (source: ModelSource) => options.dtype ?? sixteenBitsOf(source);
  await using model = await openModel(options, { microBatchTokens: 1, changedAs: dtypeFor });
  const { engine, source, plan } = model;
  const dtype = dtypeFor(source);
  const { bytes } = await saveModel(files, engine, source, plan.tensors, out, { dtype, signal });
  return { out, dtype, bytes };
}

function sixteenBitsOf({ tensors }: ModelSource): SavedDtype {
  const matrices = [...tensors.values()].filter(({ shape }) => shape.length === 2);
  return matrices.every(({ format }) => format === "f16") ? "f16" : "bf16";
}
