/** The data of a run: training micro-batches, held-out micro-batches, and the questions to answer. */

import { dirname } from "node:path";
import {
  openDataFiles,
  type OpenedDataFile,
  type ReadingOptions,
  refuseIdleMap,
} from "../data/data_files.ts";
import { cutNotice } from "../data/data_report.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Watch } from "../data/files/mod.ts";
import { type DatasetOptions, loadDataset } from "../data/load_dataset.ts";
import { MicroBatchStream, type StreamOptions } from "../data/sampler.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { SpielError } from "../errors.ts";
import { HUB_PREFIX, looksLikeRepository } from "../hub/name.ts";
import { type DataPath, type NamedFile, namedFile } from "../io/named_file.ts";
import { meantInstead } from "../io/nearest_path.ts";
import { isFolder } from "../io/random_access.ts";
import type { ModelSource } from "../model/source.ts";
import type { DataCounts, LookingEvent, ReadingEvent, RecognisedFile } from "./events.ts";
import type { Exam } from "./evaluate.ts";
import type { RunConfig } from "./run_config.ts";

/** Loaded training and held-out data, held open until it is disposed of. */
export interface RunData extends Disposable {
  readonly train: Dataset;
  readonly stream: MicroBatchStream;
  /** `null` where there is none. */
  readonly heldOut: Dataset | null;
  /** Training examples that were left out as they repeat others. */
  readonly repeated: number;
  /** Optimiser steps of the whole run. */
  readonly totalSteps: number;
  /** Micro-batches of the whole run: the last step takes what is left of them. */
  readonly totalMicroBatches: number;
}

/** The data files of a run or of an evaluation. */
export interface DataPaths {
  /** Those to train or to measure on. */
  readonly data: readonly DataPath[];
  /** Those that are held out. */
  readonly evalData?: readonly DataPath[];
}

/** The data files of a run, here or in the hub's cache. */
export interface RunFiles extends Required<DataPaths>, Pick<StreamOptions, "mixture"> {}

/** Data files that can be read. */
export interface CheckedData {
  /** How each is read, in their order. */
  readonly files: readonly RecognisedFile[];
  /** The files, those that were unpacked where they are now: nothing is unpacked again. */
  readonly data: readonly NamedFile[];
  /** As `data`, of those that are held out. */
  readonly evalData: readonly NamedFile[];
}

/**
 * Looks at the first records of every data file, so that a wrong path, kind of file, format or map is told before
 * anything that takes time.
 *
 * @throws {SpielError} `data`, `usage` or `environment`, naming the first file that cannot be read; `interrupted` when
 * the signal fires.
 */
export async function checkData(
  { data, evalData = [] }: DataPaths,
  options: ReadingOptions,
  watch: Watch = {},
): Promise<CheckedData> {
  const train = await openAs("--data", data, options, watch);
  const heldOut = await openAs("--eval-data", evalData, options, watch);
  const all = [...train, ...heldOut];
  refuseIdleMap(all, options.map ?? {});
  const files = all.map(({ path, kind, format, why }) => ({
    path,
    kind: kind.name,
    format: format.name,
    why,
  }));
  return { files, data: train.map(unpacked), evalData: heldOut.map(unpacked) };
}

function unpacked({ path: name, content: path }: OpenedDataFile): NamedFile {
  return { path, name };
}

/** Opens data files; one that is missing is named with its flag, and with what was probably meant. */
async function openAs(
  flag: string,
  paths: readonly DataPath[],
  options: ReadingOptions,
  watch: Watch,
): Promise<OpenedDataFile[]> {
  const files: OpenedDataFile[] = [];
  for (const path of paths) {
    try {
      files.push(...await openDataFiles([path], options, watch));
    } catch (error) {
      const isMissing = error instanceof SpielError && error.cause instanceof Deno.errors.NotFound;
      if (!isMissing) throw error;
      const message = `${flag} ${error.message}${hintFor(namedFile(path).path)}`;
      throw new SpielError("data", message, { cause: error });
    }
  }
  return files;
}

/** What was probably meant by data that is not there. */
function hintFor(path: string): string {
  if (/:[\d.]+$/.test(path)) return "; only training data has a weight";
  return looksLikeRepository(path) && !isFolder(dirname(path))
    ? `; the hub's data set of that name is "${HUB_PREFIX}${path}"`
    : meantInstead(path);
}

/** Warnings of examples that were left out, and `learningWarnings`. */
export function dataWarnings(
  datasets: readonly Dataset[],
  maxLength: number,
  source: Pick<ModelSource, "config">,
): string[] {
  const notices = datasets.flatMap(({ badNotice }) => badNotice ?? []);
  return [...new Set(notices), ...learningWarnings(datasets, maxLength, source)];
}

/**
 * Warnings of answers whose end cannot be learnt, of examples that were cut, and of such that are longer than the model
 * was made for.
 */
export function learningWarnings(
  datasets: readonly Dataset[],
  maxLength: number,
  { config: { max_position_embeddings: limit } }: Pick<ModelSource, "config">,
): string[] {
  // Of the same file as training and as held-out data the same is told once.
  const notices = [
    ...new Set([
      ...datasets.flatMap(({ endNotice }) => endNotice ?? []),
      ...datasets.flatMap((dataset) => cutNotice(dataset, maxLength) ?? []),
    ]),
  ];
  const longest = Math.max(...datasets.map((dataset) => dataset.longest));
  if (longest <= limit) return notices;
  return [
    ...notices,
    `max_length ${maxLength} lets examples of up to ${longest} tokens through, but this model's ` +
    `max_position_embeddings is ${limit}: what it learns and predicts past that position is of no use; ` +
    `max_length ${limit} cuts there`,
  ];
}

/** The warning of held-out examples that are trained on as well, in other files or the same; null where none is. */
export function leakWarning(train: Dataset, heldOut: Dataset): string | null {
  const shared = heldOut.sharedWith(train);
  if (shared === 0) return null;
  return `${shared} of the ${heldOut.length} held-out examples are trained on as well: what is measured on ` +
    "these says nothing of what is new to the model; --eval-split holds out examples that are not";
}

/** What can be hooked into the loading of data. */
export interface RunDataHooks {
  /** Stops it. */
  readonly signal?: AbortSignal | undefined;
  /** Told from time to time how far it is, and awaited. */
  readonly onEvent: (event: ReadingEvent | LookingEvent) => void | Promise<void>;
}

/**
 * Loads the data of a run and counts its steps.
 *
 * @throws {SpielError} `data` also when `eval_split` leaves one side without examples.
 */
export async function loadRunData(
  config: RunConfig,
  { data, evalData, mixture }: RunFiles,
  tokenizer: Tokenizer,
  { signal, onEvent }: RunDataHooks,
): Promise<RunData> {
  const { maxLength, format, map, trainOn, microBatchTokens, microBatchExamples } = config;
  const options: Omit<DatasetOptions, "paths"> = {
    ...{ tokenizer, maxLength, format, map, trainOn, signal, workers: config.dataWorkers },
    bad: config.skipBad ? "skip" : "refuse",
  };
  const load = async (data: ReadingEvent["data"], paths: readonly DataPath[]) => {
    const onProgress = (examples: number, done: number) =>
      onEvent({ type: "reading", data, examples, done });
    const onLooking = (path: string, done: number) => onEvent({ type: "looking", path, done });
    return await loadDataset({ ...options, paths, onProgress, onLooking });
  };
  using loaded = new DisposableStack();
  const all = loaded.use(await load("train", data));
  const unique = config.dedupe ? all.withoutRepeats() : all;
  const { train, heldOut } = config.evalSplit === undefined
    ? {
      train: unique,
      heldOut: evalData.length === 0 ? null : loaded.use(await load("held-out", evalData)),
    }
    : splitOf(unique, config.evalSplit);
  const stream = new MicroBatchStream(train, {
    seed: config.seed,
    policy: config.packing === "pack" ? "ffd" : "none",
    microBatchTokens,
    microBatchExamples,
    mixture,
  });
  const repeated = all.length - unique.length;
  const length = lengthOf(config, stream);
  const held = loaded.move();
  return {
    ...{ train, stream, heldOut, repeated, ...length },
    [Symbol.dispose]: () => held.dispose(),
  };
}

function splitOf(dataset: Dataset, share: number): { train: Dataset; heldOut: Dataset } {
  const parts = dataset.split(share);
  const { train, heldOut } = parts;
  if (train.length > 0 && heldOut.length > 0) return parts;
  const amount = heldOut.length === 0 ? "none" : "all";
  throw new SpielError(
    "data",
    `eval_split ${share} holds out ${amount} of the ${dataset.length} examples; ` +
      "expected more data, another share, or a file of held-out examples as eval_data",
  );
}

/** What the events tell of the first examples of a data set, of all where their number is not given. */
export function dataCounts(dataset: Dataset, examples: number = dataset.length): DataCounts {
  const counts = dataset.countsOfFirst(examples);
  return {
    examples: counts.examples,
    tokens: counts.tokens,
    targetTokens: counts.targetTokens,
    truncated: counts.truncatedExamples,
  };
}

/** What an exam is made from. */
export interface ExamOptions {
  /** Most questions. */
  readonly count: number;
  readonly maxNewTokens: number;
  /** Most tokens of a question and its answer together. */
  readonly maxLength: number;
  readonly stopTokens: readonly number[];
  readonly onAnswer?: Exam["onAnswer"];
}

/**
 * The exam of a data set's first questions; `null` when none are wanted.
 *
 * @throws {SpielError} `data` when the data has no questions.
 */
export async function examOf(
  dataset: Dataset,
  tokenizer: Tokenizer,
  options: ExamOptions,
): Promise<Exam | null> {
  const { count, ...rest } = options;
  if (count === 0) return null;
  const questions: Exam["questions"][number][] = [];
  for await (const { prompt: text, promptIds: prompt, completion: answer } of dataset.questions()) {
    questions.push({ text, prompt, answer });
    if (questions.length === count) break;
  }
  if (questions.length === 0) {
    throw new SpielError(
      "data",
      `${dataset.origin(0)}: the held-out examples are not questions with an answer, ` +
        "so eval_generate has nothing to ask",
    );
  }
  const decode = (ids: readonly number[]) => tokenizer.decode(ids, { skipSpecialTokens: true });
  return { questions, decode, ...rest };
}

function lengthOf(
  { maxSteps, epochs = 1, gradientAccumulationSteps: perStep }: RunConfig,
  stream: MicroBatchStream,
): Pick<RunData, "totalSteps" | "totalMicroBatches"> {
  if (maxSteps !== undefined) {
    return { totalSteps: maxSteps, totalMicroBatches: maxSteps * perStep };
  }
  const whole = Math.floor(epochs);
  let totalMicroBatches = 0;
  for (let epoch = 0; epoch < whole; epoch++) totalMicroBatches += stream.microBatchesIn(epoch);
  const rest = epochs - whole;
  // 0.2 of 5 is 1, which binary fractions exceed by a little.
  if (rest > 0) totalMicroBatches += Math.ceil(rest * stream.microBatchesIn(whole) - 1e-6);
  return { totalSteps: Math.ceil(totalMicroBatches / perStep), totalMicroBatches };
}
