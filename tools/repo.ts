/** The repository's root and its own files, for the tools that check them. */

import { relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Absolute path of the repository, without a trailing separator. */
export const ROOT: string = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");

/** Folders that hold nothing written here: build products, runs, packages, copied test vectors. */
const SKIPPED = new Set([".git", "target", "runs", "node_modules", "lib", "golden"]);

/**
 * Lists the repository's files in code-point order.
 *
 * @param extensions Endings to keep, with their dot.
 * @returns Paths relative to the root, with forward slashes on every platform.
 */
export function repoFiles(...extensions: readonly string[]): string[] {
  const found: string[] = [];
  const visit = (folder: string): void => {
    for (const entry of Deno.readDirSync(folder)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) {
        if (!SKIPPED.has(entry.name)) visit(path);
      } else if (extensions.some((extension) => entry.name.endsWith(extension))) {
        found.push(relative(ROOT, path).replaceAll(sep, "/"));
      }
    }
  };
  visit(ROOT);
  return found.sort((a, b) => (a < b ? -1 : 1));
}

/** Reads a file of the repository as text. */
export function readRepoFile(path: string): string {
  return Deno.readTextFileSync(`${ROOT}/${path}`);
}

/** Prints what a check found and ends the process, non-zero when there are problems. */
export function exitWith(problems: readonly string[], summary: string): never {
  for (const problem of problems) console.error(problem);
  if (problems.length === 0) console.log(summary);
  Deno.exit(problems.length === 0 ? 0 : 1);
}
