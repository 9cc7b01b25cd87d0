/** What a run is a run of, so that a checkpoint is never resumed with other options, model or data. */

import { createHash } from "node:crypto";
import type { RunIdentity } from "../checkpoint/state.ts";
import { SpielError } from "../errors.ts";
import { type Files, isNotFound } from "../io/files.ts";
import { modelIdentity, type ModelSource } from "../model/source.ts";
import { configKeyHelp, configRecord, type ResolvedConfig, resumeConflicts } from "./run_config.ts";
import type { RunFolder } from "./run_folder.ts";

/** Keys that name what is identified by its content: moving files does not make another run. */
const BY_CONTENT: ReadonlySet<string> = new Set(["model", "adapter", "data", "eval_data"]);

/** Identifies a run by its options, the base model and the training data. */
export async function runIdentity(
  resolved: ResolvedConfig,
  source: ModelSource,
  datasetFingerprint: string,
): Promise<RunIdentity> {
  const options = Object.entries(configRecord(resolved)).filter(([key]) =>
    configKeyHelp().get(key as never)?.changeable === false && !BY_CONTENT.has(key)
  ).map(([key, { value }]) => [key, value]);
  return {
    config_hash: sha256(JSON.stringify(options)),
    base_model_hash: resolved.config.init === "random"
      ? sha256(JSON.stringify([source.modelType, source.config]))
      : await modelIdentity(source),
    dataset_fingerprint: datasetFingerprint,
  };
}

/**
 * Refuses to resume a run whose `config.json` says other than the options given, and names the keys.
 *
 * @throws {SpielError} `usage`
 */
export async function refuseConflicts(
  files: Files,
  folder: RunFolder,
  resolved: ResolvedConfig,
): Promise<void> {
  let text: string;
  try {
    text = new TextDecoder().decode(await files.read(folder.configPath));
  } catch (error) {
    if (isNotFound(error)) return;
    throw error;
  }
  const conflicts = resumeConflicts(JSON.parse(text), resolved).filter((key) =>
    !BY_CONTENT.has(key)
  );
  if (conflicts.length === 0) return;
  throw new SpielError(
    "usage",
    `Cannot resume "${folder.path}" with another ${conflicts.join(", ")}; ` +
      "give the same values, or start anew with another --out",
  );
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
