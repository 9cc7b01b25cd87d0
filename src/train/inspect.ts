/** Says what a file or folder is: a model, an adapter, a checkpoint, a run, or data. */

import { join } from "node:path";
import { describeAdapter } from "../adapter/describe.ts";
import { listCheckpoints } from "../checkpoint/folder.ts";
import { BadExamples } from "../data/bad_examples.ts";
import { noRecords } from "../data/data_files.ts";
import { readRecords, recogniseFile } from "../data/files/mod.ts";
import { SpielError } from "../errors.ts";
import { denoFiles } from "../io/files.ts";
import { GgufFile } from "../io/gguf.ts";
import { type DataPath, namedFile } from "../io/named_file.ts";
import { meantInstead } from "../io/nearest_path.ts";
import { isFile, isFolder, readJsonObject, readTextFile } from "../io/random_access.ts";
import { kindOfPath, knownInside, mistakenForWhole, type PathKind } from "../io/recognise.ts";
import { RecordError } from "../io/record_error.ts";
import { SafetensorsFile } from "../io/safetensors.ts";
import { elementsIn } from "../io/shape.ts";
import { openModelSource } from "../model/source.ts";
import { parseMetrics } from "./metrics.ts";

/** Far more than any state or metrics of ours. */
const MAX_TEXT_BYTES = 256 << 20;

/** What was found. */
export interface Inspection {
  /** What it is. */
  readonly kind: "model" | "adapter" | "checkpoint" | "run" | "data" | "tensors";
  /** Where it is; of a file of the web its address. */
  readonly path: string;
  /** What is worth knowing, by name; plain JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** How a description that takes long is followed. */
export interface InspectOptions {
  /** Told from time to time how many records of a data file were looked at. */
  readonly onProgress?: ((records: number) => void) | undefined;
  /** Stops it. */
  readonly signal?: AbortSignal | undefined;
}

const RECORDS_PER_TURN = 256;

type Describe = (
  path: string,
  options: InspectOptions,
  name: string,
) => Record<string, unknown> | Promise<Record<string, unknown>>;

/** What each kind of path is called, and how it is described. */
const DESCRIPTIONS: Partial<Record<PathKind, [kind: Inspection["kind"], describe: Describe]>> = {
  adapter: ["adapter", describeAdapter],
  checkpoint: ["checkpoint", describeCheckpoint],
  run: ["run", describeRun],
  model: ["model", describeModel],
  gguf: ["model", describeGguf],
  tensors: ["tensors", describeTensors],
  data: ["data", describeData],
  file: ["data", describeData],
};

/**
 * Describes a file or folder.
 *
 * @throws {SpielError} `data` when there is nothing at the path, or nothing that is known, or it is damaged;
 * `interrupted` when the signal fires.
 */
export async function inspectPath(
  file: DataPath,
  options: InspectOptions = {},
): Promise<Inspection> {
  const { path, name } = namedFile(file);
  const kindOf = kindOfPath(path);
  if (kindOf === "nothing") {
    throw new SpielError("data", `"${path}" does not exist${meantInstead(path)}`);
  }
  const mistaken = mistakenForWhole(path);
  if (mistaken !== undefined) throw new SpielError("data", `"${path}" ${mistaken}`);
  const found = DESCRIPTIONS[kindOf];
  if (found !== undefined) {
    const [kind, describe] = found;
    return { kind, path: name, facts: await describe(path, options, name) };
  }
  const meant = kindOf === "folder" ? knownInside(path) : undefined;
  throw new SpielError(
    "data",
    `"${path}" is nothing known; ` +
      (meant ?? "expected the folder of a model, adapter, checkpoint or run, " +
          "or a .gguf, .safetensors or JSON Lines file"),
  );
}

function describeCheckpoint(path: string): Record<string, unknown> {
  const files = readJsonObject(join(path, "manifest.json"), MAX_TEXT_BYTES).files;
  return { state: readJsonObject(join(path, "state.json"), MAX_TEXT_BYTES), files };
}

async function describeRun(path: string): Promise<Record<string, unknown>> {
  const metricsPath = join(path, "metrics.jsonl");
  // A run that ended before its first step has none.
  const metrics = isFile(metricsPath)
    ? parseMetrics(readTextFile(metricsPath, MAX_TEXT_BYTES), metricsPath)
    : [];
  const { steps } = await listCheckpoints(denoFiles, join(path, "checkpoints"));
  const output = ["adapter", "model"].map((name) => join(path, name)).find(isFolder);
  return {
    step: metrics.reduce((last, { step }) => Math.max(last, step), 0),
    complete: metrics.at(-1)?.event === "done",
    evaluations: metrics.filter(({ event }) => event === "eval"),
    checkpoints: steps,
    output: output ?? null,
  };
}

function describeModel(path: string): Record<string, unknown> {
  using source = openModelSource(path);
  const formats = new Map<string, number>();
  let parameters = 0;
  for (const { format, shape } of source.tensors.values()) {
    const elements = elementsIn(shape);
    formats.set(format, (formats.get(format) ?? 0) + elements);
    parameters += elements;
  }
  return {
    model_type: source.modelType,
    parameters,
    formats: Object.fromEntries(formats),
    config: source.config,
    special_tokens: source.specialTokens,
  };
}

function describeGguf(path: string): Record<string, unknown> {
  using file = GgufFile.open(path);
  const { metadata } = file;
  return { name: metadata.get("general.name") ?? null, ...describeModel(path) };
}

function describeTensors(path: string): Record<string, unknown> {
  using file = SafetensorsFile.open(path);
  const tensors = [...file.tensors].map(([name, { dtype, shape }]) => [name, { dtype, shape }]);
  return { metadata: file.metadata, tensors: Object.fromEntries(tensors) };
}

async function describeData(
  path: string,
  { onProgress, signal }: InspectOptions,
  name: string,
): Promise<Record<string, unknown>> {
  const file = await recogniseFile({ path, name }, { signal });
  const fields = new Map<string, number>();
  const bad = new BadExamples();
  let broken: RecordError | undefined;
  let [records, seen] = [0, 0];
  for await (const { parse } of readRecords(file)) {
    if (seen++ % RECORDS_PER_TURN === 0) {
      onProgress?.(seen - 1);
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (signal?.aborted) throw new SpielError("interrupted", "Stopped while looking at the data");
    }
    try {
      for (const name of Object.keys(parse())) fields.set(name, (fields.get(name) ?? 0) + 1);
      records++;
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      broken ??= error;
      bad.add(error);
    }
  }
  if (records === 0) throw noRecords(file, broken);
  const refused = broken === undefined ? {} : { bad_examples: bad.groups };
  return { file: file.kind.name, records, fields: Object.fromEntries(fields), ...refused };
}
