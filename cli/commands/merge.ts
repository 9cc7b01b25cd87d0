/** `merge`: a model plus an adapter, saved as a Hugging Face folder or a GGUF file that other programs load. */

import {
  type ConfigEntry,
  type ConfigKey,
  formatBytes,
  GGUF_TYPES,
  mergeAdapter,
  type MergeOptions,
  resolveKeys,
  type SavedDtype,
  type SelfTest,
  SpielError,
} from "../../mod.ts";
import { shownDownloads } from "../downloading.ts";
import {
  addKeyFlags,
  type AnyCommand,
  checkAll,
  flagEntries,
  type KeyWords,
  makeCommand,
  parseFlags,
  QUANTIZE_WORDS,
} from "../flags.ts";
import { formatAmount, formatCount, formatLoss, formatShare } from "../format.ts";
import { Interrupts } from "../signals.ts";
import { openUi } from "../ui.ts";
import { unfinished } from "../unfinished.ts";

const KEYS = [
  "model",
  "quantize",
  "adapter",
  "offline",
  "host",
  "device",
  "gpu",
  "allow_software",
  "native_library",
  "threads",
  "memory_budget",
] as const satisfies readonly ConfigKey[];

const DATA_KEYS = [
  "data",
  "map",
  "format",
  "max_length",
  "eval_examples",
] as const satisfies readonly ConfigKey[];

const WORDS: KeyWords = {
  quantize: QUANTIZE_WORDS,
  adapter: {
    description: "adapter to add to the model, a folder; with --gguf it may be left out",
    defaultText: undefined,
  },
  data: {
    description: "examples on which the self-test measures the loss too, a JSONL file",
    defaultText: "none",
  },
};

const DTYPES = ["f32", "f16", "bf16"] as const;

/** The command with all its flags. */
export function mergeCommand(): AnyCommand {
  const command = makeCommand("merge", "Adds an adapter to its model and saves the sum.");
  addKeyFlags(command, [...KEYS, ...DATA_KEYS], WORDS);
  command.optionsGroup("Output:")
    .option("--out <DIR>", "folder for the merged model; must not hold one already [required]")
    .option(
      "--dtype <NAME>",
      `stored numbers [${DTYPES.join(", ")}; default: the model's own, bf16 for a quantised one]`,
    )
    .option(
      "--gguf <TYPE>",
      `make a GGUF file and an Ollama Modelfile instead of a Hugging Face folder [${
        GGUF_TYPES.join(", ")
      }]`,
    )
    .option("--no-self-test", "save without loading and trying what was written")
    .option("--json", "print one JSON object");
  return command;
}

function given(value: unknown, flag: string, expected: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new SpielError("usage", `${flag} is missing; expected ${expected}`);
}

/** One of the names of a flag; absent when it was not given. */
function oneOf<Name extends string>(
  typed: unknown,
  flag: string,
  names: readonly Name[],
): Name | undefined {
  const name = names.find((name) => name === typed);
  if (typed === undefined || name !== undefined) return name;
  throw new SpielError("usage", `${flag} is "${typed}"; expected one of ${names.join(", ")}`);
}

/** How what is saved is stored. */
function storage(options: Record<string, unknown>): Pick<MergeOptions, "dtype" | "gguf"> {
  const dtype: SavedDtype | undefined = oneOf(options["dtype"], "--dtype", DTYPES);
  const gguf = oneOf(options["gguf"], "--gguf", GGUF_TYPES);
  if (dtype === undefined || gguf === undefined) return { dtype, gguf };
  throw new SpielError("usage", `--dtype ${dtype} is for a Hugging Face folder; leave it out`);
}

/** The examples of the self-test; none without `--data`. */
function testData(options: Record<string, unknown>, isTested: boolean): MergeOptions["testData"] {
  const entries = flagEntries(options, DATA_KEYS);
  if (entries.length === 0) return undefined;
  const [{ key }] = entries as [ConfigEntry];
  const flag = `--${key.replaceAll("_", "-")}`;
  if (!isTested) {
    throw new SpielError("usage", `${flag} is for the self-test; leave out --no-self-test`);
  }
  if (options["data"] === undefined) {
    throw new SpielError("usage", `${flag} is for the examples of --data, which is missing`);
  }
  const { data: paths, evalExamples, ...rest } = resolveKeys(DATA_KEYS, entries);
  return { paths, examples: evalExamples, ...rest };
}

/** The self-test's lines: what it compared, and what saving costs in loss. */
function found(test: SelfTest): string[] {
  const { tokens, conversation, data } = test;
  const read = tokens === 0 ? "no tokenizer to compare" : `${formatCount(tokens)} tokens alike`;
  const lines = [
    `self-test: ${read}; logits differ by ${formatShare(test.difference)} of their spread ` +
    `(limit ${formatShare(test.bound)}), ${test.largestDifference.toPrecision(2)} at most; ` +
    `${formatShare(test.sameChoice)} of the likeliest tokens are the same`,
  ];
  for (const [where, change] of [["its conversation", conversation], ["--data", data]] as const) {
    if (change === undefined) continue;
    const { before, after } = change;
    lines.push(
      `loss on ${where}: ${formatLoss(before)} before, ${formatLoss(after)} as saved ` +
        `(${after < before ? "" : "+"}${formatLoss(after - before)}) over ` +
        formatAmount(change.tokens, "token"),
    );
  }
  return lines;
}

/** The self-test under the names of `--json`. */
function record({ largestDifference, sameChoice, ...rest }: SelfTest): Record<string, unknown> {
  return { largest_difference: largestDifference, same_choice: sameChoice, ...rest };
}

/** Runs `merge`. */
export async function runMerge(args: readonly string[]): Promise<void> {
  const options = parseFlags(mergeCommand(), args);
  if (options === undefined) return;
  const isTested = options["selfTest"] !== false;
  const { keys, stored, adapter, out, testData: examples } = checkAll({
    keys: () => resolveKeys(KEYS, flagEntries(options, KEYS)),
    adapter: () =>
      options["gguf"] === undefined || options["adapter"] !== undefined
        ? given(options["adapter"], "--adapter", "a folder")
        : undefined,
    out: () => given(options["out"], "--out", "a folder for the merged model"),
    stored: () => storage(options),
    testData: () => testData(options, isTested),
  });
  const ui = openUi(options["json"] === true);
  const removeUnfinished = unfinished(out);
  using interrupts = new Interrupts(
    () => ui.warn("stopping; interrupt again to stop at once"),
    () => {
      removeUnfinished();
      ui.error("stopped: at once");
    },
  );
  const result = await mergeAdapter({
    ...keys,
    ...stored,
    adapter,
    out,
    selfTest: isTested,
    testData: examples,
    signal: interrupts.signal,
    ...shownDownloads(ui),
    onWarning: (message) => ui.warn(message),
  });
  const { selfTest, bytes, dtype } = result;
  if (ui.json) return ui.data({ out, dtype, bytes, self_test: selfTest && record(selfTest) });
  if (selfTest !== null) { for (const line of found(selfTest)) ui.line(line); }
  ui.line(`merged model of ${formatBytes(bytes)} saved in ${out} as ${dtype}`);
}
