/** What a command that is stopped at once would leave half written. */

import { resolve } from "node:path";
import { temporaryOf } from "../mod.ts";

/**
 * Looks at where `out` is written before it gets its name; to be called before the writing.
 *
 * @returns Removes what was written there since. What was there before stays: it may be someone else's.
 */
export function unfinished(out: string): () => void {
  const path = temporaryOf(resolve(out));
  const isNew = isMissing(path);
  return () => {
    if (!isNew) return;
    try {
      Deno.removeSync(path, { recursive: true });
    } catch {
      // Nothing was begun, or the next writing to the same place clears it.
    }
  };
}

function isMissing(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}
