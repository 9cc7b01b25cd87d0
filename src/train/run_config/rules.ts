/** Rules between keys: each names the keys it needs, what it refuses and why. */

import type { z } from "npm:zod@4.6.7";
import { growthOf } from "../../spiel/growth/mod.ts";
import { scheduleProblem } from "../../spiel/schedule.ts";
import type { ConfigKey, runConfigSchema } from "./schema.ts";

/** Valid values of single keys; absent where a key has none or an invalid one. */
export type Values = Partial<z.output<typeof runConfigSchema>>;

/** What a rule finds wrong: the key to point at, and the sentence that follows its name. */
export interface Finding {
  key: ConfigKey;
  message: string;
}

/** The keys that were given, each with what to put behind it in a message, such as ` (run.yaml:3)`. */
export type GivenKeys = ReadonlyMap<ConfigKey, string>;

/** Looks at valid values and at which keys were given, and reports what it refuses. */
type Rule = (values: Values, given: GivenKeys) => Finding[];

/** Keys that say the same in different ways: at most one of each group may be given. */
export const EXCLUSIVE_KEYS: readonly (readonly ConfigKey[])[] = [
  ["density", "num_deltas", "rank_equivalent"],
  ["max_steps", "epochs"],
  ["eval_data", "eval_split"],
  ["warmup_ratio", "warmup_steps"],
];

const oneOfEachGroup: Rule = (_, given) =>
  EXCLUSIVE_KEYS.flatMap((group) => {
    const [first, second] = group.filter((key) => given.has(key));
    if (first === undefined || second === undefined) return [];
    const message = `cannot be combined with ${first}${given.get(first)}; ` +
      `expected at most one of ${group.join(", ")}`;
    return [{ key: second, message }];
  });

const calendarFits: Rule = (values) => {
  const { method, reselection_steps: period, selection_accumulation_steps: window } = values;
  const growth = method === undefined ? undefined : growthOf(method);
  if (growth === undefined || period === undefined || window === undefined) return [];
  const steps = { reselectionSteps: period, selectionAccumulationSteps: window };
  const message = scheduleProblem(steps, growth.needsWindow);
  return message === null ? [] : [{ key: "selection_accumulation_steps", message }];
};

const microBatchHoldsExample: Rule = (values) => {
  const { micro_batch_tokens: tokens, max_length: length } = values;
  if (tokens === undefined || length === undefined || tokens >= length) return [];
  const message = `is ${tokens}, too few for one example of max_length ${length}; ` +
    `expected at least max_length`;
  return [{ key: "micro_batch_tokens", message }];
};

const warmupEnds: Rule = ({ warmup_steps: warmup, max_steps: steps }) => {
  if (warmup === undefined || steps === undefined || warmup < steps) return [];
  return [{ key: "warmup_steps", message: `is ${warmup}; expected fewer than max_steps ${steps}` }];
};

const budgetNeedsDeltas: Rule = (values, given) => {
  if (values.method !== "full") return [];
  const keys: ConfigKey[] = ["density", "num_deltas", "rank_equivalent", "adapter", "quantize"];
  const isAsked = (key: ConfigKey) => given.has(key) && values[key] !== "none";
  return keys.filter(isAsked).map((key) => ({
    key,
    message: "needs a method with deltas; method full trains every weight",
  }));
};

const quantizeNeedsWeights: Rule = ({ init, quantize }) => {
  if (init !== "random" || quantize === undefined || quantize === "none") return [];
  return [{ key: "quantize", message: "cannot be combined with init random" }];
};

const evaluationNeedsData: Rule = (values) => {
  const { eval_data: files, eval_split: share } = values;
  if (files === undefined || files.length > 0 || share !== undefined) return [];
  const counts = ["eval_generate", "early_stop_patience"] as const;
  const keys: ConfigKey[] = counts.filter((key) => (values[key] ?? 0) > 0);
  if (values.result === "best") keys.push("result");
  return keys.map((key) => ({
    key,
    message: `is ${
      values[key]
    } but there is no held-out data; expected eval_data or eval_split as well`,
  }));
};

const patienceNeedsEvaluations: Rule = (values) => {
  const { early_stop_patience: patience, eval_every: every } = values;
  if (patience === undefined || patience === 0 || every !== 0) return [];
  return [{
    key: "early_stop_patience",
    message: `is ${patience} but eval_every is 0; expected eval_every of at least 1`,
  }];
};

const gpuNeedsDevice: Rule = ({ device }, given) => {
  if (device !== "cpu" || !given.has("gpu")) return [];
  const message = `cannot be combined with device cpu${given.get("device") ?? ""}; ` +
    "expected device gpu";
  return [{ key: "gpu", message }];
};

/** All rules between keys. */
export const RULES: readonly Rule[] = [
  oneOfEachGroup,
  calendarFits,
  microBatchHoldsExample,
  warmupEnds,
  budgetNeedsDeltas,
  quantizeNeedsWeights,
  evaluationNeedsData,
  patienceNeedsEvaluations,
  gpuNeedsDevice,
];
