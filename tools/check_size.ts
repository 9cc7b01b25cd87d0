/** Checks that files stay small enough to be read at a sitting. `--verbose` prints every file's lines. */

import { exitWith, readRepoFile, repoFiles } from "./repo.ts";

/** Most lines that a file may have; the first matching row counts. A budget changes by ADR. */
const BUDGETS: readonly { files: RegExp; lines: number }[] = [
  { files: /\.gen\.ts$/, lines: Infinity },
  { files: /^src\/engine\/(native|wasm)\.ts$/, lines: 120 },
  { files: /^crates\/[^/]+\/src\/host\//, lines: 120 },
  { files: /^src\/train\/trainer\.ts$/, lines: 250 },
  { files: /\/assemble\.rs$/, lines: 150 },
  { files: /\.wgsl$/, lines: 150 },
  { files: /\.(ts|rs)$/, lines: 400 },
];

/** Returns the most lines that a file may have. */
export function budgetOf(path: string): number {
  return BUDGETS.find(({ files }) => files.test(path))?.lines ?? Infinity;
}

/** Counts lines as editors do: a final line break does not begin another line. */
export function countLines(text: string): number {
  return text === "" ? 0 : text.replace(/\n$/, "").split("\n").length;
}

/** Measures every source file of the repository. */
function measure(): { path: string; lines: number; budget: number }[] {
  return repoFiles(".ts", ".rs", ".wgsl").map((path) => ({
    path,
    lines: countLines(readRepoFile(path)),
    budget: budgetOf(path),
  }));
}

/** Checks the whole repository. */
export function checkSize(): string[] {
  return measure()
    .filter(({ lines, budget }) => lines > budget)
    .map(({ path, lines, budget }) => `${path}: ${lines} lines, expected at most ${budget}`);
}

if (import.meta.main) {
  if (Deno.args.includes("--verbose")) {
    for (const { path, lines, budget } of measure()) {
      const most = Number.isFinite(budget) ? `${budget}` : "-";
      console.log(`${String(lines).padStart(5)} / ${most.padStart(3)}  ${path}`);
    }
  }
  exitWith(checkSize(), "every file is within its budget");
}
