/**
 * Checks that docs/kernels.md explains the operations that a profile can name: those of the CPU device and a GPU's
 * transfers, which the sources count by their names. A GPU's programs are listed by a test of their crate.
 */

import { exitWith, readRepoFile, repoFiles } from "./repo.ts";

const DOCUMENT = "docs/kernels.md";
const DEVICES = "crates/spiel-engine/src/device/";

/** An operation that is counted under a name, or under what a variable holds. */
const COUNTED = /\bself\s*\.(?:perform|run|profile_transfer)\(\s*(?:"([^"]+)"|(\w+))/g;

/**
 * Checks the operations of one source.
 *
 * @param path The source's path from the root.
 * @param text Its Rust.
 * @param explained The names that the document has.
 * @returns One sentence per name that it lacks or that cannot be told.
 */
export function operationProblems(
  path: string,
  text: string,
  explained: ReadonlySet<string>,
): string[] {
  return [...text.matchAll(COUNTED)].flatMap(([, name, variable]) => {
    const names = name === undefined ? valuesOf(variable!, text) : [name];
    if (names.length === 0) {
      return [
        `${path}: counts an operation by "${variable}", expected a name or \`let ${variable}\``,
      ];
    }
    return names.filter((name) => !explained.has(name))
      .map((name) => `${path}: counts "${name}", which ${DOCUMENT} does not explain`);
  });
}

/** The texts that a source gives a variable. */
function valuesOf(variable: string, text: string): string[] {
  const bindings = text.matchAll(new RegExp(`\\blet ${variable} = ([^;]+);`, "g"));
  return [...bindings].flatMap(([, value]) => [...value!.matchAll(/"([^"]+)"/g)])
    .map(([, name]) => name!);
}

/** The names in the first column of the table of operations. */
export function explainedOperations(document: string): Set<string> {
  const section = document.split("\n## Operations\n")[1]?.split("\n## ")[0] ?? "";
  const cells = [...section.matchAll(/^\| ([^|]+) \|/gm)].map(([, cell]) => cell!);
  return new Set(
    cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)]).map(([, name]) => name!),
  );
}

/** Checks all sources, and that some source has each of the names that are explained. */
export function checkOperations(): string[] {
  const explained = explainedOperations(readRepoFile(DOCUMENT));
  const sources = repoFiles(".rs").filter((path) => path.startsWith("crates/"))
    .map((path) => [path, readRepoFile(path)] as const);
  const missing = sources.filter(([path]) => path.startsWith(DEVICES))
    .flatMap(([path, text]) => operationProblems(path, text, explained));
  const stale = [...explained].filter((name) =>
    !sources.some(([, text]) => text.includes(`"${name}"`))
  ).map((name) => `${DOCUMENT}: explains "${name}", which no source counts`);
  return [...missing, ...stale];
}

if (import.meta.main) exitWith(checkOperations(), "operations are explained");
