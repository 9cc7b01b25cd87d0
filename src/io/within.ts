/** Whether one path lies in another, whatever links both are reached through. */

import { sep } from "node:path";

/** Whether `path` is `folder` or lies in it. What is not there lies nowhere. */
export function isWithin(path: string, folder: string): boolean {
  const inner = realPath(path);
  const outer = realPath(folder);
  return inner !== null && outer !== null && (inner + sep).startsWith(outer + sep);
}

function realPath(path: string): string | null {
  try {
    return Deno.realPathSync(path);
  } catch {
    // Whoever opens it says why it cannot be reached.
    return null;
  }
}
