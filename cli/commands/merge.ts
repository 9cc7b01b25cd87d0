/** `merge`: a model plus an adapter, saved as a Hugging Face folder that other programs load. */

import {
  type ConfigKey,
  formatBytes,
  mergeAdapter,
  resolveKeys,
  type SavedDtype,
  SpielError,
} from "../../mod.ts";
import {
  addKeyFlags,
  type AnyCommand,
  checkAll,
  flagEntries,
  type KeyWords,
  makeCommand,
  parseFlags,
} from "../flags.ts";
import { Interrupts } from "../signals.ts";
import { openUi } from "../ui.ts";
import { unfinished } from "../unfinished.ts";

const KEYS = [
  "model",
  "quantize",
  "adapter",
  "host",
  "device",
  "gpu",
  "allow_software",
  "native_library",
  "threads",
  "memory_budget",
] as const satisfies readonly ConfigKey[];

const WORDS: KeyWords = {
  adapter: { description: "adapter to add to the model, a folder", defaultText: undefined },
};

const DTYPES = ["f32", "f16", "bf16"] as const;

/** The command with all its flags. */
export function mergeCommand(): AnyCommand {
  const command = makeCommand("merge", "Adds an adapter to its model and saves the sum.");
  addKeyFlags(command, KEYS, WORDS);
  command.optionsGroup("Output:")
    .option("--out <DIR>", "folder for the merged model; must not hold one already [required]")
    .option(
      "--dtype <NAME>",
      `stored numbers [${DTYPES.join(", ")}; default: f16 for a model in f16, else bf16]`,
    )
    .option("--json", "print one JSON object");
  return command;
}

function given(value: unknown, flag: string, expected: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new SpielError("usage", `${flag} is missing; expected ${expected}`);
}

function dtypeOf(typed: unknown): SavedDtype | undefined {
  const dtype = DTYPES.find((name) => name === typed);
  if (typed === undefined || dtype !== undefined) return dtype;
  throw new SpielError("usage", `--dtype is "${typed}"; expected one of ${DTYPES.join(", ")}`);
}

/** Runs `merge`. */
export async function runMerge(args: readonly string[]): Promise<void> {
  const options = parseFlags(mergeCommand(), args);
  if (options === undefined) return;
  const { keys, ...rest } = checkAll({
    keys: () => resolveKeys(KEYS, flagEntries(options, KEYS)),
    adapter: () => given(options["adapter"], "--adapter", "a folder"),
    out: () => given(options["out"], "--out", "a folder for the merged model"),
    dtype: () => dtypeOf(options["dtype"]),
  });
  const ui = openUi(options["json"] === true);
  const removeUnfinished = unfinished(rest.out);
  using interrupts = new Interrupts(
    () => ui.warn("stopping; interrupt again to stop at once"),
    () => {
      removeUnfinished();
      ui.error("stopped: at once");
    },
  );
  const result = await mergeAdapter({
    ...keys,
    ...rest,
    signal: interrupts.signal,
    onWarning: (message) => ui.warn(message),
  });
  if (ui.json) return ui.data(result);
  ui.line(`merged model of ${formatBytes(result.bytes)} saved in ${result.out} as ${result.dtype}`);
}
