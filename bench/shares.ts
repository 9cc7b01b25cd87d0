/**
 * Reads the `trace.json` that `deno task train … --profile` writes, and prints what a usual step consists of: a JSON line
 * for each group of operations with its share of the step, then one of the steps, whose `product_share` is that of dense
 * products by weights, with attention as no product.
 *
 * `shares.ts TRACE`
 *
 * Neither the first step counts, which also touches its memory for the first time, nor those that choose candidates or
 * reselect.
 */

import { parseArgs } from "node:util";
import { SpielError } from "../src/errors.ts";
import { readJsonObject } from "../src/io/random_access.ts";
import { commandLine, telling } from "./flags.ts";
import { sharesOf, stepsOf, usualSteps } from "./step_shares.ts";

/** Of a trace with as many calls as a run keeps, many times over. */
const MAX_BYTES = 2 ** 30;

const path = commandLine(import.meta, () => {
  const { positionals: [path, more] } = parseArgs({ allowPositionals: true });
  if (path === undefined || more !== undefined) throw new RangeError("Expected one trace.json");
  return path;
});

for (const line of await telling(() => sharesOf(stepsIn(path)))) console.log(JSON.stringify(line));

function stepsIn(path: string) {
  const { traceEvents: events } = readJsonObject(path, MAX_BYTES);
  const steps = Array.isArray(events) ? stepsOf(events) : [];
  if (steps.length === 0) {
    throw new SpielError("data", `${path} has no steps; expected the trace of a run's profile`);
  }
  const usual = usualSteps(steps);
  if (usual.length > 0) return usual;
  throw new SpielError(
    "data",
    `${path} has no step but the first and those that choose candidates or reselect; ` +
      "expected the trace of a longer run",
  );
}
