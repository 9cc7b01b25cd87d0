/** Checks that the documents point at files and tasks that exist, and that their tables are filled in. */

import { dirname, join } from "node:path/posix";
import { exitWith, readRepoFile, repoFiles, ROOT } from "./repo.ts";

const LINK = /\]\(([^)\s]+)\)/g;
const TASK = /\bdeno(?:@[\d.]+)? task ([a-z][\w:-]*)/g;
/** A row of a table. */
const ROW = /^\|.*\|$/gm;
/** A word in capitals where a number goes, directly before its unit. */
const UNFILLED =
  /(?<![\w-])[A-Z][A-Z\d_]+ (?:[kKMGT]i?B|B|µs|ms|s|min|h|%|×|(?:tokens|GFLOP|[kMGT]i?B)\/s)(?![\w\/])/g;
const FENCE = /^```[\s\S]*?^```/gm;

/**
 * Checks one document.
 *
 * @param path The document's path from the root.
 * @param text Its Markdown.
 * @param exists Whether a path from the root exists.
 * @param tasks Names of the tasks in `deno.json`.
 * @returns One sentence per dead link, unknown task or cell that stands for a figure.
 */
export function documentProblems(
  path: string,
  text: string,
  exists: (path: string) => boolean,
  tasks: ReadonlySet<string>,
): string[] {
  const dead = [...text.replaceAll(FENCE, "").matchAll(LINK)]
    .map(([, target]) => (target ?? "").split("#")[0] ?? "")
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target))
    .filter((target) => !exists(join(dirname(path), target)))
    .map((target) => `${path}: links to ${target}, which does not exist`);
  const unknown = [...text.matchAll(TASK)]
    .map(([, task]) => task ?? "")
    .filter((task) => !tasks.has(task))
    .map((task) => `${path}: names the task "${task}", which deno.json does not have`);
  const unfilled = (text.match(ROW) ?? [])
    .flatMap((row) => row.match(UNFILLED) ?? [])
    .map((cell) => `${path}: has "${cell}" in a table, expected a number before the unit`);
  return [...dead, ...unknown, ...unfilled];
}

/** Checks every document of the repository. */
export function checkDocs(): string[] {
  const { tasks } = JSON.parse(readRepoFile("deno.json")) as { tasks: Record<string, unknown> };
  const names = new Set(Object.keys(tasks));
  const exists = (path: string): boolean => {
    try {
      Deno.statSync(`${ROOT}/${path}`);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  };
  return repoFiles(".md").flatMap((path) =>
    documentProblems(path, readRepoFile(path), exists, names)
  );
}

if (import.meta.main) {
  exitWith(checkDocs(), "documents name files and tasks that exist, and have their figures");
}
