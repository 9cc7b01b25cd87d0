/** `evaluate`: loss, perplexity and exact match of a model, with or without an adapter, on examples. */

import { type ConfigKey, evaluateModel, resolveKeys } from "../../mod.ts";
import { showEvaluating } from "../evaluating.ts";
import { shownDownloads } from "../downloading.ts";
import {
  addKeyFlags,
  type AnyCommand,
  flagEntries,
  type KeyWords,
  makeCommand,
  parseFlags,
  QUANTIZE_WORDS,
} from "../flags.ts";
import { formatCount, formatLoss, formatShare } from "../format.ts";
import { Interrupts } from "../signals.ts";
import { standardOutput } from "../streams.ts";
import { openUi } from "../ui.ts";

const KEYS = [
  "model",
  "quantize",
  "adapter",
  "offline",
  "data",
  "map",
  "format",
  "skip_bad",
  "max_length",
  "train_on",
  "micro_batch_tokens",
  "eval_examples",
  "eval_generate",
  "eval_max_new_tokens",
  "host",
  "device",
  "gpu",
  "allow_software",
  "native_library",
  "threads",
  "precision",
  "memory_budget",
] as const satisfies readonly ConfigKey[];

const WORDS: KeyWords = {
  quantize: QUANTIZE_WORDS,
  adapter: { description: "adapter to add to the model, a folder", defaultText: "none" },
  data: {
    description:
      "examples to measure on, a file or hf:org/name:split of the hub; repeat the flag for several",
    defaultText: undefined,
    placeholder: "FILE",
  },
};

/** The command with all its flags. */
export function evaluateCommand(): AnyCommand {
  const command = makeCommand("evaluate", "Measures loss, perplexity and exact match on examples.");
  addKeyFlags(command, KEYS, WORDS);
  command.optionsGroup("Command line:").option("--json", "print one JSON object");
  return command;
}

/** Runs `evaluate`. */
export async function runEvaluate(args: readonly string[]): Promise<void> {
  const options = parseFlags(evaluateCommand(), args);
  if (options === undefined) return;
  const ui = openUi(options["json"] === true);
  standardOutput.endWithReader();
  using interrupts = new Interrupts(
    () => ui.warn("stopping; interrupt again to stop at once"),
    () => {
      ui.clearStatus();
      ui.error("stopped: at once");
    },
  );
  const { signal } = interrupts;
  const result = await evaluateModel({
    ...resolveKeys(KEYS, flagEntries(options, KEYS)),
    signal,
    ...shownDownloads(ui),
    onWarning: (message) => ui.warn(message),
    onProgress: (progress) => showEvaluating(ui, progress),
  }).finally(() => ui.clearStatus());
  const { examples, loss, perplexity, exactMatch, targetTokens } = result;
  if (ui.json) {
    const score = exactMatch === undefined ? {} : { exact_match: exactMatch };
    return ui.data({ examples, target_tokens: targetTokens, loss, perplexity, ...score });
  }
  ui.facts([
    ["examples", formatCount(examples)],
    ["trained tokens", formatCount(targetTokens)],
    ["loss", formatLoss(loss)],
    ["perplexity", perplexity.toFixed(3)],
    ...(exactMatch === undefined ? [] : [["exact match", formatShare(exactMatch)] as const]),
  ]);
}
