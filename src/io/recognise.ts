/** What a path is, told by the names in it, and what was meant by one of another kind than expected. */

import { basename, dirname, join } from "node:path";
import { isSpielError, SpielError } from "../errors.ts";
import { firstPartOf, splitModelIn } from "./gguf_split.ts";
import { isFile, isFolder, isObject, namesIn, readJsonObject } from "./random_access.ts";

/** What can stand at a path. A model is a folder; `gguf` is one in a file, or in the parts that lie in a folder. */
export type PathKind =
  | "nothing"
  | "model"
  | "gguf"
  | "adapter"
  | "run"
  | "checkpoint"
  | "tensors"
  | "data"
  | "folder"
  | "file";

const FILE_KINDS: readonly { end: string; kind: PathKind }[] = [
  { end: ".gguf", kind: "gguf" },
  { end: ".safetensors", kind: "tensors" },
  { end: ".jsonl", kind: "data" },
];

/** Weights of a model folder in any form; beside them, config.json is a model's. */
const WEIGHTS = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"];

/** Names in a folder that mean nothing without it. */
const PARTS: Partial<Record<PathKind, readonly string[]>> = {
  model: ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"],
  adapter: ["adapter_config.json"],
  run: ["config.json", "report.html", "run.lock", "checkpoints"],
  checkpoint: ["manifest.json", "state.json"],
};

/** Paths that a hint names at most. */
const MOST_CANDIDATES = 3;

/**
 * Recognises a path by names alone: whether the files are good, their readers find out.
 *
 * @throws {SpielError} kind "environment" when Deno may not read it.
 */
export function kindOfPath(path: string): PathKind {
  if (isFile(path)) return FILE_KINDS.find(({ end }) => path.endsWith(end))?.kind ?? "file";
  if (!isFolder(path)) return "nothing";
  const has = (...names: string[]) => names.some((name) => isFile(join(path, name)));
  if (has("config.json") && has(...WEIGHTS)) return "model";
  // A run records its configuration under the name that a model's has.
  if (has("metrics.jsonl", "run.lock") || isFolder(join(path, "checkpoints"))) return "run";
  if (has("adapter_config.json", "adapter_model.safetensors")) return "adapter";
  if (has("manifest.json")) return "checkpoint";
  if (has("config.json")) return "model";
  return splitModelIn(path) === undefined ? "folder" : "gguf";
}

/** What to say of a path that is no model, as in `is an adapter; …`; undefined where it may be one or is unknown. */
export function mistakenForModel(path: string): string | undefined {
  const kind = kindOfPath(path);
  const mistaken = mistakenInRun(path, kind, modelOfRun);
  if (mistaken !== undefined) return mistaken;
  switch (kind) {
    case "adapter":
      return `is an adapter; name it by --adapter, and ${baseOfAdapter(path)} by --model`;
    case "folder":
      return `is a folder without config.json${hint(() => modelsInside(path))}`;
    case "tensors":
    case "file":
      return partOf(path, "model");
    default:
      return undefined;
  }
}

/** Asks for the models that lie in a folder, as in `did you mean "a/b.gguf"?`; undefined where there are none. */
export function modelsInside(folder: string): string | undefined {
  return anyInside(folder, ["model", "gguf"]);
}

/** Asks for whatever is known that lies in a folder; undefined where there is nothing. */
export function knownInside(folder: string): string | undefined {
  return anyInside(folder, ["model", "gguf", "run", "adapter"]);
}

function anyInside(folder: string, kinds: readonly PathKind[]): string | undefined {
  const found = unlessForbidden(() => pathsIn(folder, kinds)) ?? [];
  return found.length === 0 ? undefined : didYouMean(found);
}

/** What to say of a path that is no adapter; undefined where it may be one or is unknown. */
export function mistakenForAdapter(path: string): string | undefined {
  const kind = kindOfPath(path);
  const mistaken = mistakenInRun(path, kind, adapterOfRun);
  if (mistaken !== undefined) return mistaken;
  switch (kind) {
    case "model":
    case "gguf":
      return "is a model; name it by --model";
    case "tensors":
    case "file":
      return partOf(path, "adapter");
    case "data":
      return "is a data file; expected an adapter's folder";
    default:
      return undefined;
  }
}

/** What to say of a run and of folders in one, of which `meant` names what was wanted; undefined of others. */
function mistakenInRun(
  path: string,
  kind: PathKind,
  meant: (run: string) => string,
): string | undefined {
  switch (kind) {
    case "run":
      return `is a run folder${hint(() => meant(path))}`;
    case "checkpoint":
      return `is a checkpoint, which its run alone reads, by --resume${
        hint(() => meant(runOf(path)))
      }`;
    case "folder":
      return isInRun(path)
        ? `is a part of a run folder${hint(() => meant(dirname(path)))}`
        : undefined;
    default:
      return undefined;
  }
}

/** What to say of what means nothing without the folder that it lies in, such as state.json; undefined of others. */
export function mistakenForWhole(path: string): string | undefined {
  const kind = unlessForbidden(() => kindOfPath(dirname(path)));
  return kind !== undefined && PARTS[kind]?.includes(basename(path))
    ? partOf(path, kind)
    : undefined;
}

/** A clause at the end of a sentence, left out where there is nothing to say. */
function hint(words: () => string | undefined): string {
  const found = unlessForbidden(words);
  return found === undefined ? "" : `; ${found}`;
}

/** What lies around a path is only looked at for hints, which are worth no permission. */
function unlessForbidden<Found>(look: () => Found): Found | undefined {
  try {
    return look();
  } catch (error) {
    const { NotCapable, PermissionDenied } = Deno.errors;
    if ([SpielError, NotCapable, PermissionDenied].some((kind) => error instanceof kind)) {
      return undefined;
    }
    throw error;
  }
}

/** The model to name for a run: its own when every weight was trained, else its base and its adapter. */
function modelOfRun(run: string): string {
  const own = join(run, "model");
  if (isFolder(own)) return didYouMean([own]);
  const record = jsonOf(join(run, "config.json")).model;
  const base = isObject(record) && typeof record.value === "string" ? record.value : undefined;
  if (base === undefined) return "expected the base model that the run trains";
  const adapter = join(run, "adapter");
  const addition = isFolder(adapter) ? ` with --adapter "${adapter}"` : "";
  return `did you mean its base model "${base}"${addition}?`;
}

function adapterOfRun(run: string): string {
  const adapter = join(run, "adapter");
  if (isFolder(adapter)) return didYouMean([adapter]);
  const model = join(run, "model");
  return isFolder(model)
    ? `every weight was trained, so there is no adapter but the model "${model}"`
    : "there is no adapter yet: it is saved when the run ends";
}

/** Whether a folder is one that a run has of its own, such as that of its checkpoints. */
function isInRun(folder: string): boolean {
  return unlessForbidden(() => kindOfPath(dirname(folder))) === "run";
}

/** The run folder of `RUN/checkpoints/step-…`. */
function runOf(checkpoint: string): string {
  return dirname(dirname(checkpoint));
}

function baseOfAdapter(adapter: string): string {
  const base = jsonOf(join(adapter, "adapter_config.json")).base_model_name_or_path;
  return typeof base === "string" ? `its base model ("${base}")` : "its base model";
}

/** What belongs to a folder of the kind wanted. */
function partOf(path: string, wanted: PathKind): string | undefined {
  const folder = dirname(path);
  if (unlessForbidden(() => kindOfPath(folder)) !== wanted) return undefined;
  return `is a part of ${wanted === "adapter" ? "an" : "a"} ${wanted}; ${didYouMean([folder])}`;
}

/** What of these kinds lies in a folder, or where the hub's cache has it. */
function pathsIn(folder: string, kinds: readonly PathKind[]): string[] {
  const below = [folder, join(folder, "snapshots")].filter(isFolder).flatMap((parent) =>
    namesIn(parent).map((name) => firstPartOf(join(parent, name)))
  );
  return [...new Set(below)].filter((path) => kinds.includes(kindOfPath(path))).sort();
}

function didYouMean(paths: readonly string[]): string {
  const shown = paths.slice(0, MOST_CANDIDATES).map((path) => `"${path}"`).join(" or ");
  return `did you mean ${shown}${paths.length > MOST_CANDIDATES ? " …" : ""}?`;
}

/** A JSON object for a hint; empty where it cannot be had. */
function jsonOf(path: string): Record<string, unknown> {
  try {
    return readJsonObject(path);
  } catch (error) {
    if (isSpielError(error)) return {};
    throw error;
  }
}
