/** Adds an adapter to its model and saves the sum as a Hugging Face folder that other programs load. */

import { SpielError } from "../errors.ts";
import { denoFiles, type Files } from "../io/files.ts";
import { isFolder } from "../io/random_access.ts";
import { type SavedDtype, saveModel } from "../model/save.ts";
import { openModel, type OpenModelOptions } from "./open_model.ts";

/** What to merge, and where to. */
export interface MergeOptions extends OpenModelOptions {
  /** An adapter folder in the SFT layout. */
  readonly adapter: string;
  /** The folder to make; it must not hold anything yet. */
  readonly out: string;
  /** How weights are stored; `bf16` when absent. */
  readonly dtype?: SavedDtype;
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
 * Merges. Deltas are added in f32, then rounded once to `dtype`.
 *
 * @throws {SpielError} `usage` when `out` is taken, `data` for bad files, `storage` when the disk fails.
 */
export async function mergeAdapter(options: MergeOptions): Promise<MergeResult> {
  const { out, dtype = "bf16", files = denoFiles, signal } = options;
  const status = await files.status(out);
  if (status !== null && (!isFolder(out) || (await files.list(out)).length > 0)) {
    throw new SpielError("usage", `"${out}" exists already; choose another folder to merge into`);
  }
  await using model = await openModel(options, 1);
  const { engine, source, plan } = model;
  const { bytes } = await saveModel(files, engine, source, plan.tensors, out, { dtype, signal });
  return { out, dtype, bytes };
}
