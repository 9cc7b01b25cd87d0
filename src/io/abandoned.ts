/** Removes what programs that were killed have left of files they were writing. */
import { join } from "node:path";
import type { Files } from "./files.ts";
import { TEMPORARY_PREFIX } from "./publish.ts";

/** What was left behind is older than this, in milliseconds. */
const ABANDONED_MS = 3_600_000;

/**
 * Removes the temporary files of a folder to which nobody has written for an hour.
 *
 * @throws the system's error where the folder cannot be read.
 */
export async function removeAbandoned(files: Files, folder: string): Promise<void> {
  for (const { name } of await files.list(folder)) {
    const path = join(folder, name);
    const isLeft = name.startsWith(TEMPORARY_PREFIX) && isAbandoned(path);
    // What is somebody else's stays.
    if (isLeft) await files.remove(path).catch(() => {});
  }
}

function isAbandoned(path: string): boolean {
  try {
    const { mtime } = Deno.statSync(path);
    return mtime !== null && Date.now() - mtime.getTime() > ABANDONED_MS;
  } catch {
    // Its writer has renamed it meanwhile.
    return false;
  }
}
