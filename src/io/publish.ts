/**
 * Publishes a file or a folder of files so that a reader finds the whole of it or nothing.
 * Order: write under a temporary name, sync each file, sync the folder, rename, sync the parent.
 */

import { basename, dirname, join } from "node:path";
import { SpielError } from "../errors.ts";
import { type Files, writeDurably } from "./files.ts";

/** Prefix of names that are never read: what an interrupted publication leaves behind. */
export const TEMPORARY_PREFIX = "tmp-";
/** Prefix of the previous version of a folder while its successor takes its name. */
export const REPLACED_PREFIX = "replaced-";

/** Where a file or folder is written before it gets its name, beside it. */
export function temporaryOf(path: string): string {
  return join(dirname(path), TEMPORARY_PREFIX + basename(path));
}

/** One file of a folder; its content is asked for only when its turn comes. */
export interface FileToPublish {
  name: string;
  /** The whole content, or its parts in order for what should not lie in memory at once. */
  content(): Uint8Array | AsyncIterable<Uint8Array>;
}

/**
 * Writes a folder under its final name at `parent/name`. A folder already there stays readable,
 * as `replaced-name` at the last moment, until the new one has its name.
 *
 * @param check Looks at the complete folder under its temporary name; what it throws keeps it from being published.
 * @throws SpielError "storage" where a name that is needed belongs to something else, which is then left as it is; the
 * system's error else. Nothing is then published, and the temporary folder is removed if possible.
 */
export async function publishFolder(
  files: Files,
  parent: string,
  name: string,
  contents: Iterable<FileToPublish>,
  check?: (folder: string) => Promise<void>,
): Promise<void> {
  const temporary = temporaryOf(join(parent, name));
  const replaced = join(parent, REPLACED_PREFIX + name);
  const target = join(parent, name);
  const all = [...contents];
  await makeFolderDurably(files, parent);
  for (const path of [temporary, replaced, target]) await refuseForeign(files, path, all);
  await files.remove(temporary);
  try {
    await files.makeFolder(temporary);
    for (const { name, content } of all) {
      await writeDurably(files, join(temporary, name), content());
    }
    await files.syncFolder(temporary);
    await check?.(temporary);
    await recoverReplaced(files, parent, name);
    if (await files.status(target)) await files.rename(target, replaced);
    await files.rename(temporary, target);
  } catch (error) {
    await attempt(() => files.remove(temporary));
    await attempt(() => recoverReplaced(files, parent, name));
    throw error;
  }
  await files.syncFolder(parent);
  await files.remove(replaced);
}

/** Refuses to replace what no publication of this kind has left: anything but an empty folder or one with its files. */
async function refuseForeign(
  files: Files,
  path: string,
  contents: readonly FileToPublish[],
): Promise<void> {
  const status = await files.status(path);
  if (status === null) return;
  const found = status.isFolder ? await files.list(path) : null;
  if (found?.length === 0) return;
  if (found?.some((entry) => contents.some(({ name }) => name === entry.name))) return;
  const what = found === null ? "is a file" : `holds other things (${found[0]?.name} …)`;
  throw new SpielError(
    "storage",
    `"${path}" ${what}, which would be lost; move it elsewhere and try again`,
  );
}

/** Settles a replacement that was interrupted between its two renames: the name is never left empty. */
export async function recoverReplaced(files: Files, parent: string, name: string): Promise<void> {
  const target = join(parent, name);
  const replaced = join(parent, REPLACED_PREFIX + name);
  if (!await files.status(replaced)) return;
  if (await files.status(target)) await files.remove(replaced);
  else await files.rename(replaced, target);
}

/**
 * Writes one file so that its old content stays until the new is complete and durable.
 *
 * @throws the system's error; the old content is then untouched.
 */
export async function publishFile(
  files: Files,
  path: string,
  content: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = temporaryOf(path);
  try {
    await writeDurably(files, temporary, content);
    await files.rename(temporary, path);
  } catch (error) {
    await attempt(() => files.remove(temporary));
    throw error;
  }
  await files.syncFolder(dirname(path));
}

/** Makes a folder, and its name durable where it is new. */
export async function makeFolderDurably(files: Files, path: string): Promise<void> {
  if (await files.status(path)) return;
  await files.makeFolder(path);
  try {
    await files.syncFolder(dirname(path));
  } catch (error) {
    // Someone who may write only inside `path` cannot open its parent; the folder exists all the same.
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
}

/** Runs a clean-up step after a failure, whose own error is the one to report. */
async function attempt(cleanUp: () => Promise<void>): Promise<void> {
  try {
    await cleanUp();
  } catch {
    // The next publication of the same name clears what is left.
  }
}
