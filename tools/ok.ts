/**
 * The gate: runs every stage, prints its time, and ends with the numbers of tests over both languages.
 * Arguments are names of stages, to run only those; `--verbose` prints output while it arrives.
 */

import { addCounts, type Counts, formatCounts, NO_TESTS } from "./counts.ts";
import { exec } from "./exec.ts";
import { type Stage, STAGES } from "./stages.ts";

/** What became of a stage. */
interface Outcome {
  readonly good: boolean;
  /** Tests of the stage; a failure of anything else counts as one failed test. */
  readonly counts: Counts;
  /** What to print about a failure. */
  readonly output: string;
}

/** Lines of a failed stage that are printed; `--verbose` prints all. */
const SHOWN_LINES = 100;

/** Keeps the last lines of what a failed stage printed, where tools put their verdict. */
export function shorten(output: string): string {
  const lines = output.trimEnd().split("\n");
  const hidden = lines.length - SHOWN_LINES;
  if (hidden <= 0) return lines.join("\n");
  return [`(${hidden} lines before these; --verbose prints all)`, ...lines.slice(hidden)].join(
    "\n",
  );
}

/** Runs a stage's command or check. */
export async function runStage(stage: Stage, echo: boolean): Promise<Outcome> {
  let good = true;
  let output = "";
  if (stage.check !== undefined) {
    try {
      const problems = await stage.check();
      good = problems.length === 0;
      output = problems.join("\n");
    } catch (error) {
      good = false;
      output = error instanceof Error ? error.message : String(error);
    }
  }
  if (stage.command !== undefined) {
    const command = typeof stage.command === "function" ? await stage.command() : stage.command;
    const finished = await exec(command, { echo });
    good &&= finished.code === 0;
    output += finished.output;
  }
  let counts = NO_TESTS;
  if (stage.counts !== undefined) {
    const found = stage.counts(output);
    if (found === undefined) {
      good = false;
      output += "\nThe output has no line that says how many tests passed";
    } else {
      counts = found;
      good &&= found.failed === 0;
    }
  }
  if (!good && counts.failed === 0) counts = addCounts(counts, { ...NO_TESTS, failed: 1 });
  return { good, counts, output };
}

/** Picks the stages with the given names; no names means all of them. */
export function selectStages(names: readonly string[]): readonly Stage[] {
  const unknown = names.find((name) => !STAGES.some((stage) => stage.name === name));
  if (unknown !== undefined) {
    const known = STAGES.map(({ name }) => `"${name}"`).join(", ");
    throw new Error(`Unknown stage "${unknown}", expected one of ${known}`);
  }
  return names.length === 0 ? STAGES : STAGES.filter(({ name }) => names.includes(name));
}

/**
 * Runs stages in order. A failure stops only those that need the failed one.
 *
 * @returns The exit status: 0 when everything that can run here is good.
 */
export async function runGate(stages: readonly Stage[], echo: boolean): Promise<number> {
  const failed = new Set<string>();
  let total = NO_TESTS;
  for (const stage of stages) {
    const missing = stage.needs?.find((name) => failed.has(name));
    if (missing !== undefined) {
      failed.add(stage.name);
      total = addCounts(total, { ...NO_TESTS, failed: 1 });
      console.log(`${stage.name} … not run, "${missing}" failed`);
      continue;
    }
    const reason = await stage.unavailable?.();
    if (reason !== undefined) {
      total = addCounts(total, { ...NO_TESTS, skipped: 1 });
      console.log(`${stage.name} … not run: ${reason}`);
      continue;
    }
    const begin = performance.now();
    const { good, counts, output } = await runStage(stage, echo);
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    const tests = stage.counts === undefined ? "" : ` (${formatCounts(counts)})`;
    if (!good && !echo) console.log(shorten(output));
    console.log(`${stage.name} … ${good ? "ok" : "FAILED"}, ${seconds} s${tests}`);
    if (!good) failed.add(stage.name);
    total = addCounts(total, counts);
  }
  if (failed.size > 0) console.log(`failed: ${[...failed].join(", ")}`);
  console.log(formatCounts(total));
  return failed.size === 0 ? 0 : 1;
}

/** Runs the gate with the command line's arguments and returns the exit status. */
export async function ok(args: readonly string[]): Promise<number> {
  const echo = args.includes("--verbose");
  try {
    return await runGate(selectStages(args.filter((arg) => arg !== "--verbose")), echo);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 64;
  }
}

if (import.meta.main) Deno.exit(await ok(Deno.args));
