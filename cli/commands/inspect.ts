/** `inspect`: describes a model, adapter, checkpoint, run folder or data file. */

import {
  camelCase,
  checkData,
  type ConfigKey,
  type DataPath,
  type DataReport,
  type Dataset,
  downloadNamed,
  type Inspection,
  inspectPath,
  learningWarnings,
  type LengthBin,
  loadDataset,
  loadTokenizer,
  localModelPath,
  namedFilesOf,
  openWithoutWeights,
  type RecognisedFile,
  reportOf,
  resolveKeys,
  SpielError,
  type Stretch,
  stretchesOf,
  templateNotes,
  type Tokenizer,
} from "../../mod.ts";
import { shownDownloads } from "../downloading.ts";
import { showFacts } from "../facts.ts";
import {
  addKeyFlags,
  addNumberFlag,
  type AnyCommand,
  checkAll,
  flagEntries,
  makeCommand,
  type NumberFlag,
  parseFlags,
  readNumberFlag,
} from "../flags.ts";
import { formatCount } from "../format.ts";
import { markedText } from "../marked_text.ts";
import { ReadingView } from "../reading.ts";
import { showRecognised } from "../recognised.ts";
import { Interrupts } from "../signals.ts";
import { standardOutput } from "../streams.ts";
import { openUi, type Ui } from "../ui.ts";

const HUB_KEYS = ["offline"] as const satisfies readonly ConfigKey[];
/** Keys that decide how examples are read. */
const DATA_KEYS = [
  "map",
  "format",
  "train_on",
  "max_length",
] as const satisfies readonly ConfigKey[];

/** As of a run that is told nothing else. */
const MICRO_BATCH_TOKENS = 2048;
const BAR_WIDTH = 40;

const ROWS: NumberFlag = {
  flag: "--rows",
  description: "examples to show, the first ones",
  placeholder: "N",
  fallback: 3,
  minimum: 0,
  maximum: 1000,
  whole: true,
};

/** The command with all its flags. */
export function inspectCommand(): AnyCommand {
  const command = makeCommand(
    "inspect",
    "Describes a model, adapter, checkpoint, run folder or data file. With --model, shows examples of " +
      "a data file as that model sees them, and which of their tokens are trained on.",
  );
  command.argument(
    "<path>",
    "file or folder; org/name is a model of the hub, hf:org/name a data set",
  );
  command.option("--model <MODEL>", "model whose tokenizer and chat template read the data");
  addKeyFlags(command, [...DATA_KEYS, ...HUB_KEYS]);
  addNumberFlag(command, ROWS);
  command.optionsGroup("Command line:").option("--json", "print one JSON object");
  return command;
}

/** One example of a data file. */
interface Row {
  origin: string;
  tokens: number;
  trained_tokens: number;
  text: Stretch[];
}

function rowsOf(dataset: Dataset, tokenizer: Tokenizer, count: number): Row[] {
  return Array.from({ length: Math.min(count, dataset.length) }, (_, index) => {
    const example = dataset.example(index);
    const { ids, trained } = example;
    return {
      origin: dataset.origin(index),
      tokens: ids.length,
      trained_tokens: trained.reduce((sum, flag) => sum + flag, 0),
      text: stretchesOf(example, tokenizer),
    };
  });
}

function countsOf({ counts, badExamples }: Dataset): Record<string, number> {
  return {
    examples: counts.examples,
    tokens: counts.tokens,
    target_tokens: counts.targetTokens,
    truncated_examples: counts.truncatedExamples,
    truncated_tokens: counts.truncatedTokens,
    bad_examples: badExamples,
  };
}

function factsOf(report: DataReport | undefined): Record<string, number> {
  if (report === undefined) return {};
  const { medianTokens, longestTokens, filled, unknownTokens } = report;
  return {
    median_tokens: medianTokens,
    longest_tokens: longestTokens,
    filled: Number(filled.toFixed(4)),
    unknown_tokens: unknownTokens,
  };
}

/** A bar for each bin of lengths. */
function showLengths(ui: Ui, bins: readonly LengthBin[]): void {
  const most = Math.max(...bins.map(({ examples }) => examples));
  ui.line();
  ui.table(
    ["tokens", "examples", ""],
    bins.map(({ from, to, examples }) => [
      `${formatCount(from)} to ${formatCount(to)}`,
      formatCount(examples),
      "#".repeat(Math.ceil(BAR_WIDTH * examples / most)),
    ]),
  );
}

function showRows(ui: Ui, rows: readonly Row[]): void {
  for (const { origin, tokens, trained_tokens, text } of rows) {
    ui.line();
    ui.line(ui.paint("bold", `${origin}: ${tokens} tokens, ${trained_tokens} trained on`));
    ui.line(markedText(ui, text));
  }
}

/** Refuses flags that only a model's reading of the data would heed. */
function refuseWithoutModel(options: Readonly<Record<string, unknown>>): void {
  if (options["model"] !== undefined) return;
  const unheeded = [...DATA_KEYS, "rows"].find((key) => options[camelCase(key)] !== undefined);
  if (unheeded === undefined) return;
  throw new SpielError(
    "usage",
    `--${unheeded.replaceAll("_", "-")} needs --model, whose tokenizer reads the data`,
  );
}

/** Describes what stands at the paths: one thing, or the files of a data set. */
async function describe(
  named: string,
  paths: readonly DataPath[],
  ui: Ui,
  signal: AbortSignal,
): Promise<Inspection> {
  const found: Inspection[] = [];
  for (const path of paths) {
    const name = typeof path === "string" ? path : path.name;
    const onProgress = (records: number) =>
      ui.status(`looking at ${name}: ${formatCount(records)}`);
    found.push(await inspectPath(path, { signal, onProgress }).finally(() => ui.clearStatus()));
  }
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  const records = found.reduce((sum, { facts }) => sum + Number(facts["records"]), 0);
  const files = found.map(({ path, facts }) => ({ path, ...facts }));
  return { kind: "data", path: named, facts: { records, files } };
}

/** Runs `inspect`. */
export async function runInspect(args: readonly string[]): Promise<void> {
  const command = inspectCommand();
  const options = parseFlags(command, args);
  if (options === undefined) return;
  const named = String(command.args[0]);
  const { hub, reading, count } = checkAll({
    hub: () => resolveKeys(HUB_KEYS, flagEntries(options, HUB_KEYS)),
    model: () => refuseWithoutModel(options),
    reading: () => resolveKeys(DATA_KEYS, flagEntries(options, DATA_KEYS)),
    count: () => readNumberFlag(options, ROWS),
  });
  const ui = openUi(options["json"] === true);
  standardOutput.endWithReader();

  using interrupts = new Interrupts(
    () => ui.warn("stopping; interrupt again to stop at once"),
    () => ui.error("stopped: at once"),
  );
  const { signal } = interrupts;
  const onWarning = (message: string) => ui.warn(message);
  const use = { ...hub, ...shownDownloads(ui), onWarning, signal };
  const downloaded = await downloadNamed(named, use);
  const paths = downloaded === null ? [named] : namedFilesOf(downloaded);
  const { kind, path, facts } = await describe(named, paths, ui, signal);
  const model = typeof options["model"] === "string"
    ? await localModelPath(options["model"], use)
    : undefined;
  if (typeof model === "string" && kind !== "data") {
    throw new SpielError("usage", `--model belongs to a data file; "${path}" is of kind ${kind}`);
  }
  let rows: Row[] = [];
  let read = {};
  let recognised: readonly RecognisedFile[] = [];
  let report: DataReport | undefined;
  if (typeof model === "string") {
    const tokenizer = loadTokenizer(model);
    const checked = await checkData({ data: paths }, reading, { signal });
    recognised = checked.files;
    const view = new ReadingView(ui);
    const onProgress = (examples: number, done: number) =>
      view.show({ data: "inspected", examples, done });
    const onLooking = (path: string, done: number) => view.look({ path, done });
    const loading = loadDataset({
      ...{ paths: checked.data, tokenizer, ...reading, signal, onProgress, onLooking },
      bad: "report",
    });
    using dataset = await loading.finally(() => ui.clearStatus());
    rows = rowsOf(dataset, tokenizer, count);
    using source = openWithoutWeights(model);
    const warnings = learningWarnings([dataset], reading.maxLength, source);
    for (const warning of [...warnings, ...templateNotes(tokenizer)]) ui.warn(warning);
    const bad = dataset.bad.length === 0 ? {} : { bad_examples: dataset.bad };
    const microBatchTokens = Math.max(MICRO_BATCH_TOKENS, reading.maxLength);
    report = dataset.length === 0 ? undefined : reportOf(dataset, tokenizer, microBatchTokens);
    read = { read_by_model: { ...countsOf(dataset), ...factsOf(report) }, ...bad };
  }
  if (ui.json) {
    const lengths = report && { lengths: report.lengths };
    const format = recognised[0] && { format: recognised[0].format, why: recognised[0].why };
    return ui.data({
      kind,
      path,
      ...facts,
      ...format,
      ...read,
      ...lengths,
      ...(rows.length > 0 && { rows }),
    });
  }
  ui.line(ui.paint("bold", `${kind} ${path}`));
  showRecognised(ui, recognised);
  showFacts(ui, { ...facts, ...read });
  if (report !== undefined) showLengths(ui, report.lengths);
  showRows(ui, rows);
}
