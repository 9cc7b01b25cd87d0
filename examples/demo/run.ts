/** The demo: fine-tunes the small model in this folder, and shows its answers before and after. */

import { join } from "node:path";
import { readConfigFile } from "../../cli/config_file.ts";
import { runToExit } from "../../cli/exit.ts";
import { makeCommand, parseFlags } from "../../cli/flags.ts";
import { TrainView } from "../../cli/train_view.ts";
import { openUi, type Ui } from "../../cli/ui.ts";
import { evaluateModel, resolveRunConfig, type RunConfig, trainRun } from "../../mod.ts";

const CONFIG = "examples/demo/config.yaml";
const SAMPLES = 3;

async function runDemo(): Promise<void> {
  const command = makeCommand(
    "demo",
    "Fine-tunes the model in examples/demo in about a minute; the run is runs/demo.",
  );
  if (parseFlags(command, Deno.args) === undefined) return;
  const resolved = resolveRunConfig(await readConfigFile(CONFIG));
  const { config } = resolved;
  const ui = openUi(false);
  if (await removeEarlierRun(config)) {
    ui.line(`The result of the demo before, in ${config.out}, is replaced.`);
    ui.line();
  }
  ui.line("Task: answer a new instruction, to cite a name as bibliographies do. The model can");
  ui.line(
    "already write capitals, initials, the last name first and more, but knows no such format.",
  );
  await showFirstAnswers(ui, config);
  const view = new TrainView(ui, resolved);
  try {
    const summary = await trainRun(resolved, { onEvent: (event) => view.show(event) });
    view.finish(summary);
  } finally {
    ui.clearStatus();
  }
}

/**
 * Removes what an earlier demo left. What is not its own or in use stays, and the run refuses it.
 *
 * @returns Whether something was removed.
 */
export async function removeEarlierRun(
  { out, model }: Pick<RunConfig, "out" | "model">,
): Promise<boolean> {
  if (await modelOfRun(out) !== model) return false;
  using lock = await Deno.open(join(out, "run.lock"), { write: true, create: true });
  if (!await lock.tryLock(true)) return false;
  await Deno.remove(out, { recursive: true });
  return true;
}

/** The model that a run folder's record names; `undefined` where there is no record. */
async function modelOfRun(out: string): Promise<unknown> {
  const { NotFound, NotADirectory } = Deno.errors;
  try {
    return JSON.parse(await Deno.readTextFile(join(out, "config.json")))?.model?.value;
  } catch (error) {
    const isNoRecord = [NotFound, NotADirectory, SyntaxError].some((kind) => error instanceof kind);
    if (isNoRecord) return undefined;
    throw error;
  }
}

/** Shows how the untrained model answers the first held-out questions. */
async function showFirstAnswers(
  ui: Ui,
  { model, evalData, maxLength, host, device, evalMaxNewTokens }: RunConfig,
): Promise<void> {
  const rows: string[][] = [];
  await evaluateModel({
    model,
    data: evalData,
    maxLength,
    host,
    device,
    evalExamples: SAMPLES,
    evalGenerate: SAMPLES,
    evalMaxNewTokens,
    onAnswer: ({ text, answer: expected }, answer) => {
      rows.push([text.replaceAll(/<\|\w+\|>/g, ""), expected, answer]);
    },
  });
  ui.line();
  ui.table(["question", "right answer", "answer before training"], rows);
  ui.line();
}

if (import.meta.main) await runToExit(runDemo);
