/**
 * Measures what a step costs against density, against length at equal tokens, without stored activations and on other
 * forms of the base, and what the choice of candidates costs, on the CPU. Prints a JSON line for each process, then one
 * for each sweep with the medians of each round's own ratios, and what is aimed at.
 *
 * `sweeps.ts --model PATH [--rounds N] [--steps N] [--threads N]`
 *
 * Rounds take all configurations in turn, each in a process of its own, so that a drifting machine slows all of them.
 */

import { parseArgs } from "node:util";
import { openModelSource } from "../src/model/source.ts";
import { runConfig } from "../src/train/run_config.ts";
import { Bases } from "./bases.ts";
import { selected } from "./configurations.ts";
import { commandLine, count, optionalCount, telling } from "./flags.ts";
import { measureOrTell } from "./measurement.ts";
import {
  ratiosOf,
  type Round,
  selectionOf,
  SWEEPS,
  sweptNames,
  type Taken,
} from "./sweep_ratios.ts";

const { model, rounds, ...options } = commandLine(import.meta, () => {
  const { values: flags } = parseArgs({
    options: {
      model: { type: "string" },
      rounds: { type: "string", default: "3" },
      steps: { type: "string", default: "3" },
      threads: { type: "string" },
    },
  });
  if (flags.model === undefined) throw new RangeError("Expected --model");
  return {
    model: flags.model,
    rounds: count("--rounds", flags.rounds),
    steps: count("--steps", flags.steps),
    threads: optionalCount("--threads", flags.threads),
  };
});

await telling(() => openModelSource(model)[Symbol.dispose]());
await using bases = new Bases(model);
const measured: Round[] = [];
for (let number = 1; number <= rounds; number++) {
  const taken = new Map<string, Taken>();
  for (const configuration of selected(sweptNames())) {
    const form = await bases.path(configuration.base);
    const request = { ...options, configuration, model: form } as const;
    const line = await measureOrTell({ ...request, host: "native", precision: "f32" });
    if (line === null) continue;
    const { step_seconds: seconds, candidate_step_seconds: candidateSeconds } = line;
    taken.set(line.name, { seconds, candidateSeconds });
    console.log(JSON.stringify({ ...line, round: number }));
  }
  measured.push(taken);
}
for (const sweep of SWEEPS) console.log(JSON.stringify(ratiosOf(sweep, measured)));

const { config } = runConfig({ model, data: ["-"], out: "-" });
const calendar = { ...config, totalSteps: Infinity, firstReplacesAll: true };
console.log(JSON.stringify(selectionOf(measured, calendar)));
