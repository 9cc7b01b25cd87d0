/** Loads adapter folders of any known layout into one form. */

import { basename, join } from "node:path";
import { SpielError } from "../errors.ts";
import { meantInstead } from "../io/nearest_path.ts";
import { isFile, isFolder, readJsonObject } from "../io/random_access.ts";
import { mistakenForAdapter } from "../io/recognise.ts";
import { SafetensorsFile } from "../io/safetensors.ts";
import { TorchFile } from "../io/torch_file.ts";
import type { Adapter, BaseModel } from "./adapter.ts";
import { layoutOf } from "./layouts/mod.ts";
import { inPartsOf } from "./module_parts.ts";
import { adapterWeightsPath, CONFIG_NAME, PICKLE_NAME, WEIGHTS_NAME } from "./names.ts";

/** A base model of which nothing is known. */
const UNKNOWN: BaseModel = { shapeOf: () => undefined, weightsOf: () => undefined };

/**
 * Loads an adapter folder.
 *
 * @param base The base model, for layouts that do not record what they need of it.
 * @returns Deltas sorted by index.
 * @throws {SpielError} "data" that names the file or tensor and what was expected.
 */
export function loadAdapter(folder: string, base: BaseModel = UNKNOWN): Adapter {
  const fail = (reason: string) =>
    new SpielError("data", `Cannot load adapter "${folder}": ${reason}`);
  const configPath = join(folder, CONFIG_NAME);
  const isThere = isFolder(folder);
  if (!isThere || !isFile(configPath)) {
    const mistaken = mistakenForAdapter(folder);
    if (mistaken !== undefined) throw new SpielError("data", `Adapter "${folder}" ${mistaken}`);
    if (isFile(folder)) throw fail("it is a file, expected a folder");
    throw fail(isThere ? `it has no ${CONFIG_NAME}` : `no such folder${meantInstead(folder)}`);
  }
  const json = readJsonObject(configPath);
  const layout = layoutOf(json, configPath);
  const weightsPath = adapterWeightsPath(folder);
  if (!isFile(weightsPath)) throw fail(`it has no ${WEIGHTS_NAME}`);
  using tensors = basename(weightsPath) === PICKLE_NAME
    ? TorchFile.open(weightsPath)
    : SafetensorsFile.open(weightsPath);
  const adapter = inPartsOf(
    base,
    layout.read({ json, configPath, tensors, base }),
    `Adapter "${folder}"`,
  );
  const counts = [...adapter.modules.values()].map(({ values }) => values.length);
  if (adapter.changes.size > 0 || counts.some((count) => count > 0)) return adapter;
  throw fail(`${basename(weightsPath)} has no deltas`);
}

/**
 * Loads an adapter that consists of sparse deltas alone.
 *
 * @param purpose What only they can be used for, as in `can be converted`.
 * @throws {SpielError} "data" for another one, or what `loadAdapter` refuses.
 */
export function loadSparseAdapter(folder: string, purpose: string, base?: BaseModel): Adapter {
  const adapter = loadAdapter(folder, base);
  if (adapter.changes.size === 0) return adapter;
  throw new SpielError(
    "data",
    `Adapter "${folder}" (${adapter.layout}) changes whole matrices, and only sparse deltas ${purpose}; ` +
      "merge it into its model to go on from there",
  );
}
