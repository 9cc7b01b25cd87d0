/** `inspect`: describes a model, adapter, checkpoint, run folder or data file. */

import { inspectPath } from "../../mod.ts";
import { makeCommand, parseFlags } from "../flags.ts";
import { openUi } from "../ui.ts";

/** Runs `inspect`. */
export async function runInspect(args: readonly string[]): Promise<void> {
  const command = makeCommand(
    "inspect",
    "Describes a model, adapter, checkpoint, run or data file.",
  )
    .argument("<path>", "file or folder")
    .option("--json", "print one JSON object");
  const options = parseFlags(command, args);
  if (options === undefined) return;
  const ui = openUi(options["json"] === true);
  const found = await inspectPath(String(command.args[0]));
  if (ui.json) return ui.data(found);
}
