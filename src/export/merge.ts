/** Adds an adapter to its model, saves the sum in a form that other programs load, and tests what was saved. */

import { join } from "node:path";
import { openModel, type OpenModelOptions } from "../adapter/open_model.ts";
import { refuseTaken } from "../adapter/refuse_taken.ts";
import { denoFiles, type Files } from "../io/files.ts";
import { isQuantized } from "../model/formats.ts";
import { type SavedDtype, saveModel } from "../model/save.ts";
import type { ModelSource } from "../model/source.ts";
import { ggufFileName, saveGguf } from "./gguf.ts";
import type { GgufType } from "./gguf_types.ts";
import { lostWindowWarning } from "./lost_window.ts";
import type { SelfTest } from "./self_test.ts";
import type { TestDataOptions } from "./test_data.ts";
import { prepareTrial, REMEDIES, trialTokens } from "./trial.ts";

/** What to merge, and where to. */
export interface MergeOptions extends OpenModelOptions {
  /** An adapter folder of any layout that is read; absent to save the model as it is. */
  readonly adapter?: string | undefined;
  /** The folder to make; it must not hold anything yet. */
  readonly out: string;
  /** How a Hugging Face folder's weights are stored; as the base's, or in `bf16` of a quantised base, when absent. */
  readonly dtype?: SavedDtype | undefined;
  /** Makes a GGUF file of this type, and a Modelfile, instead of a Hugging Face folder. */
  readonly gguf?: GgufType | undefined;
  /** Whether to load and try what was written before it gets its name; true when absent. */
  readonly selfTest?: boolean | undefined;
  /** Examples on which the self-test measures the loss too. */
  readonly testData?: TestDataOptions | undefined;
  /** The disk, unless a test says otherwise. */
  readonly files?: Files;
}

/** What was saved. */
export interface MergeResult {
  /** The folder that was made. */
  readonly out: string;
  /** How weights are stored. */
  readonly dtype: SavedDtype | GgufType;
  /** Bytes of the weights. */
  readonly bytes: number;
  /** What the self-test found; null without. */
  readonly selfTest: SelfTest | null;
}

/**
 * Merges. Changes are made in f32, then rounded once.
 *
 * @throws {SpielError} `usage` when `out` is taken, `data` for bad files and for a result that reads text otherwise,
 * `numeric` for one that answers otherwise, `storage` when the disk fails, `environment` when the folder that `out` lies
 * in may not be read and written.
 */
export async function mergeAdapter(options: MergeOptions): Promise<MergeResult> {
  const { out, gguf, files = denoFiles, selfTest: isTested = true, signal } = options;
  await refuseTaken(files, out, "merged model");
  const dtypeFor = (source: ModelSource) => options.dtype ?? dtypeOf(source);
  const changedAs = (source: ModelSource) =>
    gguf === undefined ? dtypeFor(source) : isQuantized(gguf) ? "f32" : gguf as SavedDtype;
  await using model = await openModel(options, {
    microBatchTokens: isTested ? trialTokens(options) : 1,
    remedies: isTested ? REMEDIES : [],
    changedAs,
  });
  const { engine, source, plan: { tensors } } = model;
  const dtype = gguf ?? dtypeFor(source);
  const lost = gguf === undefined ? null : lostWindowWarning(source.config);
  if (lost !== null) await options.onWarning?.(lost);
  let selfTest: SelfTest | null = null;
  const test = isTested ? await prepareTrial(model, options, dtype) : null;
  const check = test === null ? undefined : async (folder: string) => {
    selfTest = await test(gguf === undefined ? folder : join(folder, ggufFileName(gguf)));
  };
  const { bytes } = gguf === undefined
    ? await saveModel(files, engine, source, tensors, out, {
      dtype: dtypeFor(source),
      check,
      signal,
    })
    : await saveGguf(files, engine, source, tensors, out, { type: gguf, check, signal });
  return { out, dtype, bytes, selfTest };
}

/** What the base's matrices are stored as; bf16 of a base that is quantised or mixed. */
function dtypeOf({ tensors }: ModelSource): SavedDtype {
  const matrices = [...tensors.values()].filter(({ shape }) => shape.length === 2);
  const [first = "bf16", ...others] = new Set(matrices.map(({ format }) => format));
  return others.length === 0 && !isQuantized(first) ? first as SavedDtype : "bf16";
}
