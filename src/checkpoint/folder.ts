/** The `checkpoints/` folder of a run: the names in it, what an interrupted run left, pruning. */

import { join } from "node:path";
import type { Files } from "../io/files.ts";
import { recoverReplaced, REPLACED_PREFIX, TEMPORARY_PREFIX } from "../io/publish.ts";

const CORRUPT_PREFIX = "corrupt-";
const NAME = /^step-(\d{8,})$/;

/** The folder of checkpoints inside a run folder. */
export function checkpointsFolder(runDir: string): string {
  return join(runDir, "checkpoints");
}

/** The name of a step's checkpoint, such as `step-00000123`; names sort as steps do. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(8, "0")}`;
}

/** What the folder holds. */
export interface CheckpointListing {
  /** Steps that have a checkpoint, newest first; not verified. */
  steps: number[];
  /** True when some checkpoint was set aside as damaged. */
  hasCorrupt: boolean;
}

/** Lists the checkpoints; a missing folder is empty. */
export async function listCheckpoints(files: Files, folder: string): Promise<CheckpointListing> {
  if (!await files.status(folder)) return { steps: [], hasCorrupt: false };
  const names = (await files.list(folder)).map(({ name }) => name);
  return {
    steps: names.flatMap((name) => stepOf(name) ?? []).sort((a, b) => b - a),
    hasCorrupt: names.some((name) => name.startsWith(CORRUPT_PREFIX)),
  };
}

/** Clears what an interrupted save or prune left behind. */
export async function tidyCheckpoints(files: Files, folder: string): Promise<void> {
  if (!await files.status(folder)) return;
  for (const { name } of await files.list(folder)) {
    if (name.startsWith(TEMPORARY_PREFIX)) await files.remove(join(folder, name));
    if (name.startsWith(REPLACED_PREFIX)) {
      await recoverReplaced(files, folder, name.slice(REPLACED_PREFIX.length));
    }
  }
}

/** Moves a damaged checkpoint out of the way, keeping it for inspection. Returns its new name. */
export async function setAsideCorrupt(files: Files, folder: string, step: number): Promise<string> {
  const base = CORRUPT_PREFIX + checkpointName(step);
  let name = base;
  for (let copy = 2; await files.status(join(folder, name)); copy++) name = `${base}-${copy}`;
  await files.rename(join(folder, checkpointName(step)), join(folder, name));
  await files.syncFolder(folder);
  return name;
}

/**
 * Removes all but the newest `keep` checkpoints, the one just saved and the protected ones.
 * A folder loses its name before its files, so that a half-removed one is never read.
 */
export async function pruneCheckpoints(
  files: Files,
  folder: string,
  saved: number,
  keep: number,
  protect: readonly number[],
): Promise<void> {
  await tidyCheckpoints(files, folder);
  const { steps } = await listCheckpoints(files, folder);
  const others = steps.filter((step) => step !== saved);
  const surplus = others.slice(keep - 1).filter((step) => !protect.includes(step));
  for (const step of surplus) {
    const name = checkpointName(step);
    const doomed = join(folder, TEMPORARY_PREFIX + name);
    await files.rename(join(folder, name), doomed);
    await files.remove(doomed);
  }
}

function stepOf(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
