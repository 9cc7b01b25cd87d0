/**
 * Saves and loads checkpoints: a folder of safetensors files, `state.json` and a manifest, which
 * appears complete or not at all and is verified to the last bit before it is used.
 */

import { join } from "node:path";
import { SpielError } from "../errors.ts";
import { canonicalJson } from "../io/canonical_json.ts";
import { type Files, isNotFound, storageError, systemCode } from "../io/files.ts";
import { indexOfNonFinite } from "../io/finite.ts";
import { firstIssue } from "../io/issue.ts";
import { type FileToPublish, publishFolder } from "../io/publish.ts";
import { SafetensorsFile } from "../io/safetensors.ts";
import { safetensorsContent, type SafetensorsTensor } from "../io/safetensors_writer.ts";
import {
  checkpointName,
  checkpointsFolder,
  listCheckpoints,
  pruneCheckpoints,
  setAsideCorrupt,
  tidyCheckpoints,
} from "./folder.ts";
import {
  DamagedCheckpoint,
  decodeManifest,
  encodeManifest,
  FileMeasure,
  MANIFEST_NAME,
  type ManifestFiles,
  verifyFile,
} from "./manifest.ts";
import { type CheckpointState, checkpointStateSchema } from "./state.ts";

const STATE_NAME = "state.json";

/** Everything from which a run goes on. */
export interface Checkpoint {
  state: CheckpointState;
  /** File name, such as `deltas.safetensors` → its tensors by name. */
  groups: Readonly<Record<string, ReadonlyMap<string, SafetensorsTensor>>>;
}

/** A checkpoint that was found intact. */
export interface LoadedCheckpoint {
  /** The checkpoint's folder. */
  path: string;
  state: CheckpointState;
  /** Names of the tensor files. */
  groupNames: string[];
  /** Opens one tensor file; the caller disposes of it. */
  openGroup(name: string): SafetensorsFile;
}

/** Hears a sentence, and is awaited. */
export type OnWarning = (message: string) => void | Promise<void>;

/** How many checkpoints stay, and who hears of what did not stop the save. */
export interface SaveOptions {
  /** How many of the newest stay; at least 1, better 2. */
  keep: number;
  /** Steps whose checkpoints stay whatever their age, such as the best one. */
  protect?: readonly number[];
  /** Told when an old checkpoint could not be removed. */
  onWarning?: OnWarning;
}

/**
 * Saves a checkpoint durably as `checkpoints/step-…` and prunes older ones. Saving the same state
 * twice writes the same bytes.
 *
 * @returns the checkpoint's folder.
 * @throws SpielError "storage" when the disk fails, "numeric" when a tensor holds an infinite value
 * or a NaN; earlier checkpoints are then untouched.
 */
export async function saveCheckpoint(
  files: Files,
  runDir: string,
  checkpoint: Checkpoint,
  { keep, protect = [], onWarning }: SaveOptions,
): Promise<string> {
  if (!Number.isInteger(keep) || keep < 1) {
    throw new SpielError(
      "usage",
      `Cannot keep ${keep} checkpoints: expected a whole number from 1`,
    );
  }
  const { step } = checkpoint.state;
  const folder = checkpointsFolder(runDir);
  const path = join(folder, checkpointName(step));
  try {
    await publishFolder(files, folder, checkpointName(step), contentsOf(checkpoint));
  } catch (error) {
    throw storageError(`Cannot save checkpoint "${path}"`, error);
  }
  try {
    await pruneCheckpoints(files, folder, step, keep, protect);
  } catch (error) {
    await onWarning?.(storageError(`Cannot remove old checkpoints in "${folder}"`, error).message);
  }
  return path;
}

/** How a run's checkpoints are looked through. */
export interface LoadOptions {
  /** Told of damaged checkpoints that were passed over. */
  onWarning?: OnWarning;
  /** Changes nothing on the disk: what is damaged keeps its name. */
  readOnly?: boolean;
}

/**
 * Finds the newest checkpoint that verifies. Damaged ones are renamed `corrupt-…` on the way, unless all is to stay as
 * it is.
 *
 * @returns null when the run has no checkpoint yet.
 * @throws SpielError "storage" when there are checkpoints but none is intact, or the disk fails;
 * "environment" when the newest is of a newer format.
 */
export async function loadNewestCheckpoint(
  files: Files,
  runDir: string,
  { onWarning, readOnly = false }: LoadOptions = {},
): Promise<LoadedCheckpoint | null> {
  const folder = checkpointsFolder(runDir);
  try {
    if (!readOnly) await tidyCheckpoints(files, folder);
    const { steps, hasCorrupt } = await listCheckpoints(files, folder);
    for (const [number, step] of steps.entries()) {
      try {
        return await verifiedCheckpoint(files, join(folder, checkpointName(step)), step);
      } catch (error) {
        if (!meansDamage(error)) throw error;
        const name = readOnly ? checkpointName(step) : await setAsideCorrupt(files, folder, step);
        await onWarning?.(
          `Checkpoint of step ${step} is damaged (${(error as Error).message}); ` +
            `kept as "${join(folder, name)}"` +
            (number + 1 < steps.length ? ", trying the one before" : ""),
        );
      }
    }
    if (steps.length === 0 && !hasCorrupt) return null;
  } catch (error) {
    throw storageError(`Cannot load a checkpoint from "${folder}"`, error);
  }
  throw new SpielError(
    "storage",
    `Cannot resume: "${folder}" holds checkpoints, but none of them is intact; ` +
      "restore one from a copy, or start anew with another --out",
  );
}

/**
 * Opens the checkpoint of one step.
 *
 * @throws SpielError "storage" when it is missing, damaged or cannot be read.
 */
export async function loadCheckpoint(
  files: Files,
  runDir: string,
  step: number,
): Promise<LoadedCheckpoint> {
  const path = join(checkpointsFolder(runDir), checkpointName(step));
  try {
    return await verifiedCheckpoint(files, path, step);
  } catch (error) {
    throw storageError(`Cannot load checkpoint "${path}"`, error);
  }
}

function* contentsOf({ state, groups }: Checkpoint): Iterable<FileToPublish> {
  const listed: ManifestFiles = {};
  async function* list(name: string, parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
    const measure = new FileMeasure();
    for await (const part of parts) {
      measure.add(part);
      yield part;
    }
    listed[name] = measure.entry();
  }
  for (const name of Object.keys(groups).sort()) {
    yield { name, content: () => list(name, groupContent(name, groups[name]!)) };
  }
  yield { name: STATE_NAME, content: () => list(STATE_NAME, [encodeState(state)]) };
  yield { name: MANIFEST_NAME, content: () => encodeManifest(state.step, listed) };
}

function groupContent(group: string, tensors: ReadonlyMap<string, SafetensorsTensor>) {
  return safetensorsContent(tensors, {
    inspect(name, elements, first) {
      const index = indexOfNonFinite(tensors.get(name)!.dtype, elements);
      if (index < 0) return;
      throw new SpielError(
        "numeric",
        `Cannot save tensor "${name}" in ${group}: element ${first + index} is not finite`,
      );
    },
  });
}

function encodeState(state: CheckpointState): Uint8Array {
  const parsed = checkpointStateSchema.safeParse(state);
  if (!parsed.success) {
    throw new SpielError("internal", `Cannot save state: ${firstIssue(parsed.error)}`);
  }
  return new TextEncoder().encode(canonicalJson(parsed.data) + "\n");
}

async function verifiedCheckpoint(
  files: Files,
  path: string,
  step: number,
): Promise<LoadedCheckpoint> {
  const listed = decodeManifest(await files.read(join(path, MANIFEST_NAME)), step);
  if (!Object.hasOwn(listed, STATE_NAME)) {
    throw new DamagedCheckpoint(`${MANIFEST_NAME} lists no ${STATE_NAME}`);
  }
  for (const [name, entry] of Object.entries(listed)) {
    const measure = new FileMeasure();
    for await (const part of files.readParts(join(path, name))) measure.add(part);
    verifyFile(name, entry, measure.entry());
  }
  return {
    path,
    state: decodeState(await files.read(join(path, STATE_NAME)), step),
    groupNames: Object.keys(listed).filter((name) => name !== STATE_NAME),
    openGroup: (name) => SafetensorsFile.open(join(path, name)),
  };
}

function decodeState(content: Uint8Array, step: number): CheckpointState {
  const parsed = checkpointStateSchema.safeParse(JSON.parse(new TextDecoder().decode(content)));
  if (!parsed.success) {
    throw new DamagedCheckpoint(`${STATE_NAME}: ${firstIssue(parsed.error)}`);
  }
  if (parsed.data.step !== step) {
    throw new DamagedCheckpoint(`${STATE_NAME} is of step ${parsed.data.step}, not ${step}`);
  }
  return parsed.data;
}

/** A lost file or an unreadable sector is damage; a refusal (permissions, open files) is not. */
function meansDamage(error: unknown): boolean {
  return error instanceof DamagedCheckpoint || isNotFound(error) || systemCode(error) === "EIO";
}
