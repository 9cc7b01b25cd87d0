/** Reads how many tests passed, failed and were skipped from what the test programs print. */

/** Numbers of tests; a step of a Deno test counts as a test. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** No tests at all. */
export const NO_TESTS: Counts = { passed: 0, failed: 0, skipped: 0 };

const CARGO = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;/gm;

const DENO = new RegExp(
  String.raw`^(?:ok|FAILED) \| (\d+) passed(?: \((\d+) steps?\))?` +
    String.raw` \| (\d+) failed(?: \((\d+) steps?\))?` +
    String.raw`(?: \| (\d+) ignored(?: \((\d+) steps?\))?)?`,
  "gm",
);

/** Adds two sets of numbers. */
export function addCounts(a: Counts, b: Counts): Counts {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
  };
}

/**
 * Sums the `test result:` lines of `cargo test`, one for each test binary.
 *
 * @returns The numbers, or undefined when no such line was printed.
 */
export function cargoCounts(output: string): Counts | undefined {
  const lines = [...output.matchAll(CARGO)];
  if (lines.length === 0) return undefined;
  return lines
    .map(([, passed, failed, ignored]) => ({
      passed: Number(passed),
      failed: Number(failed),
      skipped: Number(ignored),
    }))
    .reduce(addCounts);
}

/**
 * Reads the summary line of `deno test`. It is the last one: a test may print another run's summary.
 *
 * @returns The numbers, or undefined when no such line was printed.
 */
export function denoCounts(output: string): Counts | undefined {
  const groups = [...output.matchAll(DENO)].at(-1);
  if (groups === undefined) return undefined;
  const sum = (first: number): number => Number(groups[first]) + Number(groups[first + 1] ?? 0);
  return {
    passed: sum(1),
    failed: sum(3),
    skipped: groups[5] === undefined ? 0 : sum(5),
  };
}

/** The gate's last line. */
export function formatCounts({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
