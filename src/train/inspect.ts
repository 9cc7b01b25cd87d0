/** Says what a file or folder is: a model, an adapter, a checkpoint, a run, or data. */

import { join } from "node:path";
import { loadSftAdapter } from "../adapter/sft.ts";
import { listCheckpoints } from "../checkpoint/folder.ts";
import { SpielError } from "../errors.ts";
import { denoFiles } from "../io/files.ts";
import { GgufFile } from "../io/gguf.ts";
import { readJsonLines } from "../io/json_lines.ts";
import { isFile, isFolder, readJsonObject, readTextFile } from "../io/random_access.ts";
import { SafetensorsFile } from "../io/safetensors.ts";
import { openModelSource } from "../model/source.ts";
import { parseMetrics } from "./metrics.ts";

/** Far more than any state or metrics of ours. */
const MAX_TEXT_BYTES = 256 << 20;

/** What was found. */
export interface Inspection {
  /** What it is. */
  readonly kind: "model" | "adapter" | "checkpoint" | "run" | "data" | "tensors";
  /** Where it is. */
  readonly path: string;
  /** What is worth knowing, by name; plain JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A kind of thing: how it is recognised and described. */
interface Kind {
  readonly kind: Inspection["kind"];
  fits(path: string): boolean;
  describe(path: string): Record<string, unknown> | Promise<Record<string, unknown>>;
}

const has = (...names: string[]) => (path: string) =>
  isFolder(path) && names.some((name) => isFile(join(path, name)));

/** In the order in which they are tried. */
const KINDS: readonly Kind[] = [
  { kind: "adapter", fits: has("adapter_config.json"), describe: describeAdapter },
  { kind: "checkpoint", fits: has("manifest.json"), describe: describeCheckpoint },
  { kind: "run", fits: has("metrics.jsonl"), describe: describeRun },
  { kind: "model", fits: has("config.json"), describe: describeModel },
  { kind: "model", fits: isNamed(".gguf"), describe: describeGguf },
  { kind: "tensors", fits: isNamed(".safetensors"), describe: describeTensors },
  { kind: "data", fits: isNamed(".jsonl"), describe: describeData },
];

/**
 * Describes a file or folder.
 *
 * @throws {SpielError} `data` when there is nothing at the path, or nothing that is known, or it is damaged.
 */
export async function inspectPath(path: string): Promise<Inspection> {
  if (!isFolder(path) && !isFile(path)) {
    throw new SpielError("data", `"${path}" does not exist`);
  }
  const found = KINDS.find(({ fits }) => fits(path));
  if (found !== undefined) return { kind: found.kind, path, facts: await found.describe(path) };
  throw new SpielError(
    "data",
    `"${path}" is nothing known; expected the folder of a model, adapter, checkpoint or run, ` +
      "or a .gguf, .safetensors or .jsonl file",
  );
}

function isNamed(end: string): (path: string) => boolean {
  return (path) => isFile(path) && path.endsWith(end);
}

function describeAdapter(path: string): Record<string, unknown> {
  const { config, modules } = loadSftAdapter(path);
  const counts = [...modules].map(([name, { values }]) => [name, values.length] as const);
  return {
    peft_type: config.peft_type,
    base_model: config.base_model_name_or_path,
    deltas: counts.reduce((sum, [, count]) => sum + count, 0),
    modules: Object.fromEntries(counts),
    ...(config.spiel === undefined ? {} : { trained: config.spiel }),
  };
}

function describeCheckpoint(path: string): Record<string, unknown> {
  const files = readJsonObject(join(path, "manifest.json"), MAX_TEXT_BYTES).files;
  return { state: readJsonObject(join(path, "state.json"), MAX_TEXT_BYTES), files };
}

async function describeRun(path: string): Promise<Record<string, unknown>> {
  const metricsPath = join(path, "metrics.jsonl");
  const metrics = parseMetrics(readTextFile(metricsPath, MAX_TEXT_BYTES), metricsPath);
  const { steps } = await listCheckpoints(denoFiles, join(path, "checkpoints"));
  return {
    step: metrics.reduce((last, { step }) => Math.max(last, step), 0),
    complete: metrics.at(-1)?.event === "done",
    evaluations: metrics.filter(({ event }) => event === "eval"),
    checkpoints: steps,
    adapter: isFolder(join(path, "adapter")),
  };
}

function describeModel(path: string): Record<string, unknown> {
  using source = openModelSource(path);
  const formats = new Map<string, number>();
  let parameters = 0;
  for (const { format, shape } of source.tensors.values()) {
    const elements = shape.reduce((product, size) => product * size, 1);
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

function describeData(path: string): Record<string, unknown> {
  const fields = new Map<string, number>();
  let records = 0;
  for (const { record } of readJsonLines(path)) {
    records++;
    for (const name of Object.keys(record)) fields.set(name, (fields.get(name) ?? 0) + 1);
  }
  return { records, fields: Object.fromEntries(fields) };
}
