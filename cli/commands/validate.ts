/** `validate`: looks at every record of data files, and writes corrected copies. */

import {
  type ConfigKey,
  type DataPath,
  downloadNamed,
  loadTokenizer,
  localModelPath,
  namedFilesOf,
  resolveKeys,
  SpielError,
  type Tokenizer,
  validateData,
  type Validation,
} from "../../mod.ts";
import { shownDownloads } from "../downloading.ts";
import { showFacts } from "../facts.ts";
import {
  addKeyFlags,
  type AnyCommand,
  checkAll,
  flagEntries,
  makeCommand,
  parseFlags,
} from "../flags.ts";
import { formatCount, printable } from "../format.ts";
import { showRecognised } from "../recognised.ts";
import { Interrupts } from "../signals.ts";
import { standardOutput } from "../streams.ts";
import { openUi, type Ui } from "../ui.ts";

const HUB_KEYS = ["offline"] as const satisfies readonly ConfigKey[];
const DATA_KEYS = [
  "map",
  "format",
  "train_on",
  "max_length",
] as const satisfies readonly ConfigKey[];

/** The command with all its flags. */
export function validateCommand(): AnyCommand {
  const command = makeCommand(
    "validate",
    "Looks at every record of data files and says what is wrong with which. With --model, also at what " +
      "its chat template and tokenizer make of them. Ends with code 65 where a run would refuse the data.",
  );
  command.argument("<files...>", "data files; hf:org/name is a data set of the hub");
  command.option("--model <MODEL>", "model whose tokenizer and chat template read the data");
  addKeyFlags(command, [...DATA_KEYS, ...HUB_KEYS]);
  command.option(
    "--write <FILE>",
    "write a corrected copy as JSON Lines, and list every change: what can be mended is, the rest is left out",
  );
  command.optionsGroup("Command line:").option("--json", "print one JSON object per file");
  return command;
}

/** Runs `validate`. */
export async function runValidate(args: readonly string[]): Promise<void> {
  const command = validateCommand();
  const options = parseFlags(command, args);
  if (options === undefined) return;
  const [names = []] = command.processedArgs as [string[]];
  const write = options["write"] as string | undefined;
  const { hub, reading } = checkAll({
    hub: () => resolveKeys(HUB_KEYS, flagEntries(options, HUB_KEYS)),
    reading: () => resolveKeys(DATA_KEYS, flagEntries(options, DATA_KEYS)),
    write: () => refuseOneCopyOfMany(names, write),
  });
  const ui = openUi(options["json"] === true);
  standardOutput.endWithReader();
  using interrupts = new Interrupts(
    () => ui.warn("stopping; interrupt again to stop at once"),
    () => ui.error("stopped: at once"),
  );
  const { signal } = interrupts;
  const use = {
    ...{ ...hub, ...shownDownloads(ui), signal },
    onWarning: (message: string) => ui.warn(message),
  };
  const model = options["model"] as string | undefined;
  const tokenizer = model === undefined
    ? undefined
    : loadTokenizer(await localModelPath(model, use));
  const refusals: SpielError[] = [];
  for (const name of names) {
    const downloaded = await downloadNamed(name, use);
    const paths = downloaded === null ? [name] : namedFilesOf(downloaded);
    for (const path of paths) {
      const found = await validateOne(ui, path, { ...reading, tokenizer, write, signal });
      if (found.refusal !== null && write === undefined) refusals.push(found.refusal);
    }
  }
  const last = refusals.pop();
  if (last === undefined) return;
  for (const { message } of refusals) ui.error(`error: ${message}`);
  throw last;
}

/** Looks at one file, and shows what is found. */
async function validateOne(
  ui: Ui,
  file: DataPath,
  options: Parameters<typeof validateData>[1] & { tokenizer: Tokenizer | undefined },
): Promise<Validation> {
  const changes: { where: string; change: string }[] = [];
  const path = typeof file === "string" ? file : file.name;
  const found = await validateData(file, {
    ...options,
    onChange: (change) => {
      if (ui.json) changes.push(change);
      else ui.line(printable(`${change.where}: ${change.change}`));
    },
    onProgress: (records) => ui.status(`looking at ${path}: ${formatCount(records)}`),
  }).finally(() => ui.clearStatus());
  const { kind, format, why, records, badRecords: bad_records, corrected, bad } = found;
  const copy = options.write === undefined
    ? {}
    : { written: options.write, corrected, left_out: bad_records - corrected };
  const facts = { records, bad_records, ...copy };
  if (ui.json) {
    ui.data({ path, kind, format, why, ...facts, bad, ...options.write && { changes } });
  } else {
    showRecognised(ui, [{ path, kind, format, why }]);
    showFacts(ui, facts);
  }
  return found;
}

function refuseOneCopyOfMany(names: readonly string[], write: string | undefined): void {
  if (write === undefined || names.length === 1) return;
  throw new SpielError("usage", `--write takes one file; there are ${names.length}`);
}
