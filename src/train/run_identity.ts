/** What a run is a run of, so that a checkpoint is never resumed with other options, model, adapter or data. */

import { createHash } from "node:crypto";
import { adapterWeightsPath } from "../adapter/names.ts";
import type { RunIdentity } from "../checkpoint/state.ts";
import { SpielError } from "../errors.ts";
import { type Files, isNotFound, storageError } from "../io/files.ts";
import { modelIdentity, type ModelSource } from "../model/source.ts";
import { leftPrecisionOpen } from "./kept_precision.ts";
import type { RecordedRun } from "./recorded_run.ts";
import {
  type ConfigKey,
  configKeyHelp,
  configRecord,
  firstValue,
  type ResolvedConfig,
  resumeConflicts,
} from "./run_config.ts";
import type { RunData } from "./run_data.ts";

/** Keys that name what is identified by its content: moving files does not make another run. */
const BY_CONTENT: ReadonlySet<string> = new Set(["model", "adapter", "data", "eval_data"]);

/** Keys that the fingerprints of the data see, younger than the hash, which must not change for older runs. */
const IN_FINGERPRINT: ReadonlySet<string> = new Set(["train_on", "eval_split", "dedupe"]);

/** What a run is made from, besides its options. */
export interface RunParts {
  readonly source: ModelSource;
  readonly data: Pick<RunData, "stream" | "heldOut">;
  readonly adapterDigest: string | null;
}

/** Identifies a run by its options, the base model, the adapter that it begins with, and the data. */
export async function runIdentity(
  resolved: ResolvedConfig,
  { source, data, adapterDigest }: RunParts,
): Promise<RunIdentity> {
  const options = Object.entries(configRecord(resolved)).filter(([key]) =>
    configKeyHelp().get(key as never)?.changeable === false && !BY_CONTENT.has(key) &&
    !IN_FINGERPRINT.has(key)
  ).map(([key, { value }]) => [key, firstValue(key as ConfigKey, value)]);
  return {
    config_hash: sha256(JSON.stringify(options)),
    base_model_hash: resolved.config.init === "random"
      ? sha256(JSON.stringify([source.modelType, source.config]))
      : await modelIdentity(source),
    dataset_fingerprint: data.stream.fingerprint,
    held_out_fingerprint: data.heldOut?.fingerprint ?? null,
    adapter_digest: adapterDigest,
  };
}

/**
 * SHA-256 of the adapter that a run begins with; `null` without one.
 *
 * @param recorded What the checkpoint to go on from says, which stands where the adapter is gone by now.
 */
export async function adapterDigest(
  files: Files,
  folder: string | undefined,
  recorded: string | null,
): Promise<string | null> {
  if (folder === undefined) return null;
  const hash = createHash("sha256");
  try {
    for await (const part of files.readParts(adapterWeightsPath(folder))) hash.update(part);
  } catch (error) {
    if (isNotFound(error)) return recorded;
    throw storageError(`Cannot read adapter "${folder}"`, error);
  }
  return hash.digest("hex");
}

/**
 * Refuses to resume a run whose `config.json` says other than the options given, and names the keys. What `auto` came
 * to only a checkpoint knows.
 *
 * @throws {SpielError} `usage`
 */
export function refuseConflicts({ record, path }: RecordedRun, resolved: ResolvedConfig): void {
  if (record === null) return;
  const conflicts = resumeConflicts(record, resolved).filter((key) =>
    !BY_CONTENT.has(key) && !(key === "precision" && leftPrecisionOpen(record))
  );
  if (conflicts.length === 0) return;
  const now = configRecord(resolved);
  const words = (value: unknown) => value === null ? "not set" : JSON.stringify(value);
  const both = conflicts.map((key) =>
    `${key} (${words(now[key].value)}, before ${words(record[key]?.value ?? null)})`
  );
  throw new SpielError(
    "usage",
    `Cannot resume "${path}" with another ${both.join(", ")}; give the same values, ` +
      `or start anew with another --out, from what the run ended with by --adapter if it is to go on`,
  );
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
