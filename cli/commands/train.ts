/** `train`: flags and files to a configuration, a run, and what people see of it. */

import {
  CONFIG_KEYS,
  type ConfigEntry,
  type ResolvedConfig,
  resolveRunConfig,
  trainRun,
} from "../../mod.ts";
import { readConfigFile } from "../config_file.ts";
import {
  addKeyFlags,
  type AnyCommand,
  collect,
  flagEntries,
  makeCommand,
  parseFlags,
  setEntries,
  textList,
} from "../flags.ts";
import { PlanRecord } from "../plan.ts";
import { Interrupts } from "../signals.ts";
import { TrainView } from "../train_view.ts";
import { openUi } from "../ui.ts";

/** The command with all its flags. */
export function trainCommand(): AnyCommand {
  const command = makeCommand("train", "Trains a model on examples and saves an adapter.");
  addKeyFlags(command, CONFIG_KEYS);
  command.optionsGroup("Command line:")
    .option(
      "--config <FILE>",
      "YAML or .json file of keys such as max_steps, or a run's config.json; flags win",
      collect,
    )
    .option("--set <KEY=VALUE>", "set any key; wins over a file", collect)
    .option(
      "--json",
      "metrics as JSON lines on standard output, the rest on standard error; with --dry-run the plan",
    );
  return command;
}

/** The configuration that files, `--set` and flags amount to. */
async function configOf(options: Readonly<Record<string, unknown>>): Promise<ResolvedConfig> {
  const entries: ConfigEntry[] = [
    ...(await Promise.all(textList(options["config"]).map(readConfigFile))).flat(),
    ...setEntries(textList(options["set"])),
    ...flagEntries(options, CONFIG_KEYS),
  ];
  return resolveRunConfig(entries);
}

/** Runs `train`. */
export async function runTrain(args: readonly string[]): Promise<void> {
  const options = parseFlags(trainCommand(), args);
  if (options === undefined) return;
  const resolved = await configOf(options);
  const ui = openUi(options["json"] === true);
  const view = new TrainView(ui, resolved);
  const plan = new PlanRecord(resolved);
  using interrupts = new Interrupts(
    () => ui.warn(view.stopping),
    () => {
      ui.clearStatus();
      ui.error(view.farewell);
    },
  );
  try {
    const summary = await trainRun(resolved, {
      signal: interrupts.signal,
      onEvent: (event) => {
        plan.note(event);
        view.show(event);
      },
      onMetrics: (line) => {
        if (ui.json) ui.data(line);
      },
    });
    view.finish(summary);
    // A run that is complete has no plan.
    if (ui.json && resolved.config.dryRun && plan.json !== undefined) ui.data(plan.json);
  } finally {
    ui.clearStatus();
  }
}
