/** Sees to it, before anything takes time, that a folder can be made. */

import { dirname, resolve } from "node:path";
import { SpielError } from "../errors.ts";
import { type Files, storageError } from "../io/files.ts";

/**
 * Refuses a folder that holds something already, or that lies where nothing can be made.
 *
 * @param what What is to be saved in it, such as `merged model`.
 * @throws {SpielError} `usage` when it is taken, `storage` when the disk fails.
 */
export async function refuseTaken(files: Files, out: string, what: string): Promise<void> {
  const parent = dirname(resolve(out));
  try {
    await files.makeFolder(parent);
    // Names in it are made durable through the folder itself.
    await files.syncFolder(parent);
    const status = await files.status(out);
    if (status === null || (status.isFolder && (await files.list(out)).length === 0)) return;
  } catch (error) {
    throw storageError(`Cannot save the ${what} in "${parent}"`, error);
  }
  throw new SpielError("usage", `"${out}" exists already; choose another folder`);
}
