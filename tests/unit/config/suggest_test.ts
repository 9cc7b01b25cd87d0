/** Names that were probably meant. */

import assert from "node:assert/strict";
import { suggest } from "../../../src/train/run_config.ts";

const KNOWN = ["lr", "max_steps", "warmup_steps", "reselection_steps", "data", "eval_data", "seed"];

const CASES: [typed: string, meant: string | undefined][] = [
  ["lrr", "lr"],
  ["max-step", "max_steps"],
  ["maxSteps", "max_steps"],
  ["steps", "max_steps"],
  ["reselect_steps", "reselection_steps"],
  ["daat", "data"],
  ["see", "seed"],
  ["zebra", undefined],
  ["x", undefined],
  ["", undefined],
];

for (const [typed, meant] of CASES) {
  Deno.test(`"${typed}" means ${meant}`, () => assert.equal(suggest(typed, KNOWN), meant));
}
