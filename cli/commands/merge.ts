/** `merge`: a model plus an adapter, saved as a Hugging Face folder that other programs load. */

import { type ConfigKey, formatBytes, mergeAdapter, resolveKeys, SpielError } from "../../mod.ts";
import { addKeyFlags, type AnyCommand, flagEntries, makeCommand, parseFlags } from "../flags.ts";
import { Interrupts } from "../signals.ts";
import { openUi } from "../ui.ts";

const KEYS = [
  "model",
  "adapter",
  "host",
  "device",
  "native_library",
  "threads",
] as const satisfies readonly ConfigKey[];

const DTYPES = ["f32", "f16", "bf16"] as const;

/** The command with all its flags. */
export function mergeCommand(): AnyCommand {
  const command = makeCommand("merge", "Adds an adapter to its model and saves the sum.");
  addKeyFlags(command, KEYS);
  command.optionsGroup("Output:")
    .option("--out <DIR>", "folder for the merged model; must not hold one already")
    .option("--dtype <NAME>", `stored numbers [${DTYPES.join(", ")}; default: bf16]`)
    .option("--json", "print one JSON object");
  return command;
}

/** Runs `merge`. */
export async function runMerge(args: readonly string[]): Promise<void> {
  const options = parseFlags(mergeCommand(), args);
  if (options === undefined) return;
  const keys = resolveKeys(KEYS, flagEntries(options, KEYS));
  const { out, dtype: typed = "bf16" } = options;
  const { adapter } = keys;
  if (adapter === undefined) {
    throw new SpielError("usage", "--adapter is missing; expected a folder");
  }
  if (typeof out !== "string" || out === "") {
    throw new SpielError("usage", "--out is missing; expected a folder for the merged model");
  }
  const dtype = DTYPES.find((name) => name === typed);
  if (dtype === undefined) {
    throw new SpielError("usage", `--dtype is "${typed}"; expected one of ${DTYPES.join(", ")}`);
  }
  const ui = openUi(options["json"] === true);
  using interrupts = new Interrupts(() => ui.warn("stopping; interrupt again to stop at once"));
  const result = await mergeAdapter({ ...keys, adapter, out, dtype, signal: interrupts.signal });
  if (ui.json) return ui.data(result);
  ui.line(`merged model of ${formatBytes(result.bytes)} saved in ${out}`);
}
