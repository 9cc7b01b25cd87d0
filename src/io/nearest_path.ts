/** The path that was probably meant by one that leads nowhere. */

import { basename, dirname, join } from "node:path";
import { suggest } from "../suggest.ts";

/**
 * A question to put behind a refusal, such as `; did you mean "train.jsonl"?`: the name most like the missing one beside
 * it, or the first folder on the way that is missing. Empty where neither is found.
 */
export function meantInstead(path: string): string {
  const folder = dirname(path);
  const names = namesIn(folder);
  if (names === undefined) {
    const parent = dirname(folder);
    if (parent === folder) return "";
    return namesIn(parent) === undefined
      ? meantInstead(folder)
      : `; there is no folder "${folder}"`;
  }
  const meant = suggest(basename(path), names);
  if (meant === undefined) return "";
  const beside = folder === "." && !path.startsWith(".") ? meant : join(folder, meant);
  return `; did you mean "${beside}"?`;
}

/** The names in a folder; undefined where there is none that may be read. */
function namesIn(folder: string): string[] | undefined {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return undefined;
  }
}
