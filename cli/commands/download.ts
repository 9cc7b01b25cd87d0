/** `download`: brings models and data sets of the hub into the cache, to be used later or offline. */

import { downloadNamed, formatBytes, SpielError } from "../../mod.ts";
import { shownDownloads } from "../downloading.ts";
import { makeCommand, parseFlags } from "../flags.ts";
import { Interrupts } from "../signals.ts";
import { openUi } from "../ui.ts";

/** Runs `download`. */
export async function runDownload(args: readonly string[]): Promise<void> {
  const command = makeCommand(
    "download",
    "Downloads models and data sets of the hub into the cache that Hugging Face's programs share. A " +
      "download that was stopped is gone on with.",
  );
  command.argument(
    "<names...>",
    "org/name[@revision][:GGUF] for a model, hf:org/name[@revision][:split] for a data set, " +
      "https://... for a file of data",
  );
  command.option("--json", "print one JSON object per name");
  const options = parseFlags(command, args);
  if (options === undefined) return;
  const [names = []] = command.processedArgs as [string[]];
  const ui = openUi(options["json"] === true);
  using interrupts = new Interrupts(
    () => ui.warn("stopping; interrupt again to stop at once"),
    () => {
      ui.clearStatus();
      ui.error("stopped: at once; the same command goes on from there");
    },
  );
  const { signal } = interrupts;
  const onWarning = (message: string) => ui.warn(message);
  for (const name of names) {
    const result = await downloadNamed(name, { ...shownDownloads(ui), signal, onWarning })
      .finally(() => ui.clearStatus());
    if (result === null) {
      throw new SpielError(
        "usage",
        `"${name}" is no name of the hub; expected org/name for a model or hf:org/name for a data set, ` +
          "and no file or folder of that name here",
      );
    }
    const { commit, bytes, paths } = result;
    if (ui.json) ui.data({ name, commit, bytes, paths });
    else {
      const at = commit === null ? "is" : `is at ${commit.replaceAll('"', "").slice(0, 8)},`;
      ui.line(`${name} ${at} ${formatBytes(bytes)}:`);
      for (const path of paths) ui.line(`  ${path}`);
    }
  }
}
