/** Who uses the cache: what nobody has used for long is removed from it, and nothing is while a program uses any of it. */
import { join } from "node:path";
import { SpielError } from "../errors.ts";
import type { FileLock, Files } from "./files.ts";

/** What has not been used for so long is removed, in milliseconds: 30 days. */
const UNUSED_MS = 30 * 24 * 3_600_000;

/** Folders whose entries can be made again from the data; downloads are not among them. */
const MADE_AGAIN = ["tokens", "unpacked"];

/** Held by all programs together that use the cache, and by one alone that removes something. */
const LOCK_NAME = "in_use.lock";

/** Between two looks at a lock that a program holds which removes something. */
const LOCK_POLL_MS = 50;

/**
 * Removes what nobody has used for 30 days, unless a program uses the cache, and uses it from then on.
 *
 * @param root The folder of the cache, which is there.
 * @returns To be disposed of when nothing of it is read any more.
 * @param signal Ends the wait for a program that removes something.
 * @throws {SpielError} kind "interrupted" when the signal fires; the system's error else.
 */
export async function useCache(
  files: Files,
  root: string,
  signal?: AbortSignal,
): Promise<Disposable> {
  const path = join(root, LOCK_NAME);
  const alone = await tryLock(() => files.lock(path));
  try {
    if (typeof alone === "object") await removeUnused(files, root);
  } finally {
    if (typeof alone === "object") alone.release();
  }
  for (;;) {
    const lock = await tryLock(() => files.lock(path, "shared"));
    if (lock === "none") return { [Symbol.dispose]() {} };
    if (lock !== "taken") return { [Symbol.dispose]: () => lock.release() };
    if (signal?.aborted) throw new SpielError("interrupted", "Stopped while waiting for the cache");
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
}

/** Notes that something of the cache is used now, by the time of its last access: by the other a change is known. */
export function noteUse(path: string): void {
  try {
    const { mtime } = Deno.statSync(path);
    const now = new Date();
    Deno.utimeSync(path, now, mtime ?? now);
  } catch {
    // Of a cache that may only be read, somebody else takes care.
  }
}

async function removeUnused(files: Files, root: string): Promise<void> {
  for (const folder of MADE_AGAIN.map((name) => join(root, name))) {
    if (await files.status(folder) === null) continue;
    for (const { name } of await files.list(folder)) {
      const path = join(folder, name);
      // What is somebody else's stays.
      if (isUnused(path)) await files.remove(path).catch(() => {});
    }
  }
}

function isUnused(path: string): boolean {
  try {
    const { atime, mtime } = Deno.statSync(path);
    const used = Math.max(atime?.getTime() ?? Infinity, mtime?.getTime() ?? 0);
    return Date.now() - used > UNUSED_MS;
  } catch {
    // Somebody has renamed or removed it meanwhile.
    return false;
  }
}

/** A lock; "taken" where another program has it, "none" where there can be none: from such a disk nothing is removed. */
async function tryLock(lock: () => Promise<FileLock | null>): Promise<FileLock | "taken" | "none"> {
  try {
    return await lock() ?? "taken";
  } catch {
    return "none";
  }
}
