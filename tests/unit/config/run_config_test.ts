/** The configuration: sources to values, origins, and every refusal at once. */

import assert from "node:assert/strict";
import { isSpielError } from "../../../src/errors.ts";
import {
  CONFIG_KEYS,
  type ConfigEntry,
  configKeyHelp,
  configRecord,
  resolveKeys,
  resolveRunConfig,
  type RunConfig,
  runConfig,
  runConfigJsonSchema,
  type RunOptions,
} from "../../../src/train/run_config.ts";

const flag = (key: string, value: unknown): ConfigEntry => ({
  key,
  value,
  source: { kind: "flag" },
});
const set = (key: string, value: unknown): ConfigEntry => ({ key, value, source: { kind: "set" } });
const file = (key: string, value: unknown, line = 1): ConfigEntry => ({
  key,
  value,
  source: { kind: "file", path: "run.yaml", line, column: 1 },
});
const BASE = [flag("model", "base"), flag("data", ["train.jsonl"])];

/** Flags of one key as text and the value that they stand for. */
const TEXTS: [key: string, text: unknown, name: keyof RunConfig, value: unknown][] = [
  ["lr", "1e-4", "lr", 1e-4],
  ["max_steps", "60", "maxSteps", 60],
  ["reselection_steps", "30", "reselectionSteps", 30],
  ["target_modules", "q_proj, v_proj", "targetModules", ["q_proj", "v_proj"]],
  ["map", "prompt=question,completion=answer", "map", {
    prompt: "question",
    completion: "answer",
  }],
  ["data", ["a.jsonl", "b.jsonl"], "data", ["a.jsonl", "b.jsonl"]],
  ["target_modules", "[q_proj, 'v_proj']", "targetModules", ["q_proj", "v_proj"]],
  ["resume", true, "resume", true],
  ["memory_budget", "1.5GiB", "memoryBudget", 1610612736],
  ["memory_budget", "4096", "memoryBudget", 4096],
  ["memory_budget", "0", "memoryBudget", 0],
  ["memory_budget", "none", "memoryBudget", 0],
  ["method", "full", "method", "full"],
  ["num_deltas", "100", "numDeltas", 100],
  ["out", "1", "out", "1"],
];

for (const [key, text, name, value] of TEXTS) {
  Deno.test(`flag ${key} ${text} becomes ${name}`, () => {
    const { config, origins } = resolveRunConfig([...BASE, flag(key, text)]);
    assert.deepEqual(config[name], value);
    assert.equal(origins[key as keyof typeof origins], "flag");
  });
}

Deno.test("a list or a map may be written as text in a file and in --set as well", () => {
  const { config } = resolveRunConfig([
    file("model", "base"),
    file("data", "a,b.jsonl"),
    set("eval_data", "[c.jsonl, d.jsonl]"),
    file("target_modules", "q_proj, v_proj"),
    file("map", "prompt=question,completion=answer"),
  ]);
  assert.deepEqual(config.data, ["a,b.jsonl"]);
  assert.deepEqual(config.evalData, ["c.jsonl", "d.jsonl"]);
  assert.deepEqual(config.targetModules, ["q_proj", "v_proj"]);
  assert.deepEqual(config.map, { prompt: "question", completion: "answer" });
  assert.deepEqual(resolveRunConfig([...BASE, set("eval_data", "e")]).config.evalData, ["e"]);
});

Deno.test("what is wrong in a file does not matter where a flag replaces it", () => {
  const wrong = [file("lr", "fast"), file("micro_batch_tokens", 8), file("threads", -1)];
  const right = [flag("lr", "0.5"), set("micro_batch_tokens", "2048"), flag("threads", "1")];
  const { config } = resolveRunConfig([...BASE, ...wrong, ...right]);
  assert.deepEqual([config.lr, config.microBatchTokens, config.threads], [0.5, 2048, 1]);
});

/** What is refused, and words that the sentence must have. */
const REFUSED: [title: string, entries: ConfigEntry[], words: RegExp][] = [
  [
    "unknown key",
    [...BASE, file("reselction_steps", 5, 7)],
    /run\.yaml:7:1: reselction_steps is not known; did you mean reselection_steps\?/,
  ],
  ["unknown flag", [...BASE, flag("lrr", "5")], /--lrr is not known; did you mean --lr\?/],
  ["nothing like it", [...BASE, set("zebra", "5")], /^--set zebra is not known$/],
  [
    "a flag of another trainer",
    [...BASE, flag("learning_rate", "5")],
    /^--learning-rate is not known; did you mean --lr\?$/,
  ],
  [
    "keys of another trainer",
    [...BASE, file("num_train_epochs", 1), set("per_device_train_batch_size", "4")],
    /num_train_epochs is not known; did you mean epochs\?[^]*did you mean micro_batch_examples\?/,
  ],
  [
    "no model",
    [flag("data", ["a"])],
    /^--model \(in a file model:\) is missing; expected a folder, a/,
  ],
  ["no data", [flag("model", "a")], /^--data \(in a file data:\) is missing; expected a list of/],
  [
    "empty data",
    [flag("model", "a"), file("data", [])],
    /data is \[\]; expected a list of one or more/,
  ],
  ["negative rate", [...BASE, flag("lr", "-1")], /^--lr is -1; expected a number above 0$/],
  ["no number", [...BASE, flag("lr", "fast")], /^--lr is "fast"; expected a number above 0$/],
  ["too large", [...BASE, flag("lr", "1e999")], /^--lr is "1e999"; expected a number above 0$/],
  ["empty number", [...BASE, flag("lr", "")], /^--lr is ""; expected a number/],
  [
    "text for a number in a file",
    [...BASE, file("lr", "1")],
    /lr is "1"; expected a number above 0/,
  ],
  [
    "fraction of a step",
    [...BASE, flag("max_steps", "1.5")],
    /--max-steps is 1.5; expected a whole number from 1/,
  ],
  [
    "beyond 32 bits",
    [...BASE, flag("seed", "4294967296")],
    /--seed is 4294967296; expected a whole number from 0 to 4294967295/,
  ],
  ["infinite rate", [...BASE, flag("lr", "Infinity")], /--lr is "Infinity"; expected/],
  [
    "density over one",
    [...BASE, flag("density", "1.5")],
    /--density is 1.5; expected a number above 0 and at most 1/,
  ],
  [
    "two budgets",
    [...BASE, flag("density", "0.1"), flag("num_deltas", "5")],
    /--num-deltas cannot be combined with density; expected at most one of/,
  ],
  [
    "two lengths",
    [...BASE, flag("epochs", "1"), flag("max_steps", "5")],
    /--epochs cannot be combined with max_steps/,
  ],
  [
    "two warm-ups",
    [...BASE, set("warmup_ratio", "0.1"), set("warmup_steps", "5")],
    /cannot be combined/,
  ],
  [
    "a window as long as allowed and one more",
    [...BASE, flag("reselection_steps", "6")],
    /selection_accumulation_steps is 5, which does not fit reselection_steps 6.*at most 4, or reselection_steps of at least 7/,
  ],
  [
    "micro-batch below an example",
    [...BASE, flag("micro_batch_tokens", "100")],
    /--micro-batch-tokens is 100, too few for one example of max_length 1024/,
  ],
  [
    "warm-up as long as the run",
    [...BASE, flag("warmup_steps", "5"), flag("max_steps", "5")],
    /--warmup-steps is 5; expected fewer than max_steps 5/,
  ],
  [
    "deltas of full training",
    [...BASE, flag("method", "full"), flag("density", "0.1")],
    /--density needs a method with deltas/,
  ],
  [
    "adapter for full training",
    [...BASE, flag("method", "full"), flag("adapter", "a")],
    /--adapter needs a method with deltas/,
  ],
  [
    "patience without data",
    [...BASE, flag("early_stop_patience", "2")],
    /--early-stop-patience is 2 but there is no held-out data/,
  ],
  ["patience without evaluations", [
    ...BASE,
    flag("eval_data", ["e"]),
    flag("eval_every", "0"),
    flag("early_stop_patience", "2"),
  ], /expected eval_every of at least 1/],
  [
    "the best without data",
    [...BASE, flag("result", "best")],
    /--result is best but there is no held-out data; expected eval_data or eval_split as well/,
  ],
  [
    "generation without data",
    [...BASE, flag("eval_generate", "2")],
    /--eval-generate is 2 but there is no held-out data/,
  ],
  [
    "two kinds of held-out data",
    [...BASE, flag("eval_data", ["e"]), flag("eval_split", "0.1")],
    /--eval-split cannot be combined with eval_data; expected at most one of eval_data, eval_split/,
  ],
  ["no share", [...BASE, flag("eval_split", "0")], /--eval-split is 0; expected a number above 0/],
  ["all as a share", [...BASE, flag("eval_split", "1")], /--eval-split is 1; .* below 1/],
  [
    "LoRA",
    [...BASE, flag("method", "lora")],
    /--method is "lora" \(LoRA is not supported yet\); expected one of spiel-ag, spiel-ma, full/,
  ],
  ["IA3", [...BASE, flag("method", "ia3")], /IA3 is not supported yet/],
  ["another device", [...BASE, flag("device", "tpu")], /expected one of auto, gpu, cpu/],
  [
    "a GPU with device cpu",
    [...BASE, flag("device", "cpu"), flag("gpu", "0")],
    /--gpu cannot be combined with device cpu; expected device gpu/,
  ],
  ["quantising so", [...BASE, flag("quantize", "q2_k")], /expected one of none, nf4, q8_0, q4_0/],
  ["half a map", [...BASE, flag("map", "prompt")], /--map is "prompt"; expected FIELD=NAME pairs/],
  ["a map of one field twice", [...BASE, flag("map", "prompt=a,prompt=b")], /expected FIELD=NAME/],
  [
    "a size without sense",
    [...BASE, flag("memory_budget", "lots")],
    /--memory-budget is "lots"; expected a number of bytes, a size such as 8GiB, or none/,
  ],
  [
    "a word for yes",
    [...BASE, set("resume", "yes")],
    /--set resume is "yes"; expected true or false/,
  ],
];

for (const [title, entries, words] of REFUSED) {
  Deno.test(`refuses ${title}`, () => {
    assert.throws(() => resolveRunConfig(entries), (error) => {
      assert.ok(isSpielError(error) && error.kind === "usage");
      assert.match(error.message, words);
      return true;
    });
  });
}

Deno.test("every problem is told at once", () => {
  const entries = [flag("lr", "-1"), set("zebra", "1"), file("reselection_steps", 6, 3)];
  assert.throws(() => resolveRunConfig(entries), (error) => {
    assert.ok(error instanceof Error);
    assert.match(error.message, /^5 things are wrong:\n/);
    for (
      const word of [
        "--lr",
        "zebra",
        "--model (in a file model:) is missing",
        "--data (in a file data:) is missing",
        "does not fit",
      ]
    ) {
      assert.ok(error.message.includes(word), word);
    }
    return true;
  });
});

Deno.test("flags win over --set, and that over files, in any order", () => {
  const all = [flag("lr", "3"), set("lr", "2"), file("lr", 1, 4)];
  const lrOf = (entries: ConfigEntry[]) => {
    const { config, origins } = resolveRunConfig([...entries, ...BASE]);
    return [config.lr, origins.lr];
  };
  assert.deepEqual(lrOf(all), [3, "flag"]);
  assert.deepEqual(lrOf(all.slice(1)), [2, "set"]);
  assert.deepEqual(lrOf(all.slice(2)), [1, "run.yaml:4"]);
  assert.deepEqual(lrOf([]), [1e-3, "default"]);
});

Deno.test("a flag replaces what a file says in another way", () => {
  const { config, origins } = resolveRunConfig([
    ...BASE,
    file("epochs", 2),
    file("density", 0.1),
    flag("max_steps", "7"),
    set("num_deltas", "9"),
  ]);
  assert.deepEqual([config.maxSteps, config.epochs], [7, undefined]);
  assert.deepEqual([config.numDeltas, config.density], [9, undefined]);
  assert.equal(origins.epochs, "default");
});

Deno.test("exactly one way of each group is set by default", () => {
  const { config } = runConfig({ model: "m", data: ["d"] });
  assert.deepEqual([config.density, config.numDeltas, config.rankEquivalent], [
    0.01,
    undefined,
    undefined,
  ]);
  assert.deepEqual([config.epochs, config.maxSteps], [1, undefined]);
  assert.deepEqual([config.warmupRatio, config.warmupSteps], [0.03, undefined]);
});

Deno.test("defaults follow the method and the length", () => {
  const lr = (method: RunConfig["method"]) =>
    runConfig({ model: "m", data: ["d"], method }).config.lr;
  assert.deepEqual([lr("spiel-ag"), lr("spiel-ma"), lr("full")], [1e-3, 5e-3, 2e-5]);
  const full = runConfig({ model: "m", data: ["d"], method: "full" }).config;
  assert.equal(full.density, undefined);
  const long = runConfig({ model: "m", data: ["d"], maxLength: 4096 }).config;
  assert.equal(long.microBatchTokens, 4096);
  const result = (options: Partial<RunOptions>) =>
    runConfig({ model: "m", data: ["d"], evalData: ["e"], ...options }).config.result;
  assert.deepEqual([result({}), result({ earlyStopPatience: 2 })], ["last", "best"]);
  assert.equal(result({ earlyStopPatience: 2, result: "last" }), "last");
});

Deno.test("the longest window that fits is accepted", () => {
  const config = { model: "m", data: ["d"], selectionAccumulationSteps: 5 };
  assert.equal(runConfig({ ...config, reselectionSteps: 7 }).config.reselectionSteps, 7);
});

Deno.test("spiel-ma, which has no window, needs only the step of the reselection", () => {
  const config = { model: "m", data: ["d"], method: "spiel-ma", reselectionSteps: 6 } as const;
  assert.equal(runConfig(config).config.selectionAccumulationSteps, 5);
  assert.throws(() => runConfig({ ...config, selectionAccumulationSteps: 6 }), {
    message: /is 6, which does not fit reselection_steps 6: deltas are .* expected at most 5, or/,
  });
});

Deno.test("the window does not matter to full training", () => {
  const { config } = runConfig({ model: "m", data: ["d"], method: "full", reselectionSteps: 2 });
  assert.equal(config.reselectionSteps, 2);
});

Deno.test("null in a file is as good as nothing", () => {
  const { config, origins } = resolveRunConfig([...BASE, file("threads", null)]);
  assert.deepEqual([config.threads, origins.threads], [undefined, "default"]);
});

Deno.test("a configuration is frozen, its lists too", () => {
  const { config } = runConfig({ model: "m", data: ["d"] });
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.data) && Object.isFrozen(config.map));
  assert.ok(Object.isFrozen(config.targetModules));
});

Deno.test("code gives origins and unknown names as well", () => {
  assert.equal(runConfig({ model: "m", data: ["d"], lr: 1 }).origins.lr, "option");
  const wrong = { model: "m", data: ["d"], maxStep: 1 };
  assert.throws(() => runConfig(wrong), /maxStep is not known; did you mean max_steps\?/);
});

Deno.test("the record has every key with value and origin, and JSON keeps it", () => {
  const record = configRecord(resolveRunConfig([...BASE, file("lr", 0.5, 2)]));
  assert.deepEqual(Object.keys(record), [...CONFIG_KEYS]);
  assert.deepEqual(record.lr, { value: 0.5, origin: "run.yaml:2" });
  assert.deepEqual(record.threads, { value: null, origin: "default" });
  assert.deepEqual(JSON.parse(JSON.stringify(record)), record);
});

Deno.test("a part of the keys can be resolved alone", () => {
  const part = resolveKeys(["model", "threads"], [flag("model", "m"), flag("threads", "2")]);
  assert.deepEqual(part, { model: "m", threads: 2 });
  assert.throws(() => resolveKeys(["model"], [flag("lr", "2")]), /--lr is not known/);
});

Deno.test("the names of other trainers lead to keys that a command has", () => {
  const gradual = [flag("output_dir", "x")];
  assert.throws(() => resolveKeys(["out"], gradual), /did you mean --out\?/);
  assert.throws(() => resolveKeys(["seed"], gradual), /^SpielError: --output-dir is not known$/);
});

Deno.test("every key has words, a place in the JSON Schema, and either a default or a need", () => {
  const { properties, required, additionalProperties } = runConfigJsonSchema() as {
    properties: Record<string, { description?: string }>;
    required: string[];
    additionalProperties: boolean;
  };
  assert.deepEqual(required, ["model", "data"]);
  assert.equal(additionalProperties, false);
  for (const key of CONFIG_KEYS) {
    const help = configKeyHelp().get(key);
    assert.ok(help && help.description.length > 10, key);
    assert.equal(properties[key]?.description, help.description);
    assert.match(help.flag, /^--[a-z0-9]+(-[a-z0-9]+)*$/);
    assert.equal(help.defaultText === undefined, required.includes(key), key);
  }
});

Deno.test("what is missing is called as whoever configures would give it", () => {
  assert.throws(() => resolveKeys(["model"], []), {
    message: "--model is missing; expected a folder, a .gguf file or org/name of the hub",
  });
  assert.throws(() => runConfig({ model: "m" } as RunOptions), {
    message: "data is missing; expected a list of one or more data files",
  });
});
