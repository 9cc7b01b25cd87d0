/**
 * Loads and saves adapters in the reference's SFT layout: a folder with `adapter_config.json` and
 * `adapter_model.safetensors`. Other layouts and pickled files are refused by name.
 */

import { basename, dirname, join, resolve } from "node:path";
import { SpielError } from "../errors.ts";
import { type Files, storageError } from "../io/files.ts";
import { indexOfNonFinite } from "../io/finite.ts";
import { publishFolder } from "../io/publish.ts";
import { isFile, isFolder, readJsonObject } from "../io/random_access.ts";
import { mistakenForAdapter } from "../io/recognise.ts";
import { SafetensorsFile } from "../io/safetensors.ts";
import { safetensorsContent, type SafetensorsTensor } from "../io/safetensors_writer.ts";
import {
  decodeIndices,
  decodeValues,
  indexDtype,
  sortDeltas,
  type SparseDeltas,
  widenIndices,
} from "./deltas.ts";
import {
  encodeSftConfig,
  parseSftConfig,
  type SftConfig,
  sftConfig,
  type SftConfigInput,
} from "./sft_config.ts";

const CONFIG_NAME = "adapter_config.json";
const WEIGHTS_NAME = "adapter_model.safetensors";
const PICKLE_NAME = "adapter_model.bin";

const TENSOR_NAME = /^base_model\.model\.(.+)\.sft_delta\.(values|indices)$/;

/** Deltas of one module as an adapter file holds them. */
export interface SftModule extends SparseDeltas {
  /** Precision in which the values are stored. */
  dtype: "F32" | "F16" | "BF16";
}

/** A loaded adapter. */
export interface SftAdapter {
  /** The content of `adapter_config.json`. */
  config: SftConfig;
  /** Module name, such as `model.layers.0.self_attn.q_proj` → its deltas, in name order. */
  modules: Map<string, SftModule>;
}

/** The file of an adapter folder that holds its deltas. */
export function adapterWeightsPath(dir: string): string {
  return join(dir, WEIGHTS_NAME);
}

/**
 * Loads an adapter folder. Slots may be in any order and indices I32 or I64; values F32, F16 or BF16.
 *
 * @returns deltas sorted by index.
 * @throws SpielError "data" that names the file or tensor and what was expected.
 */
export function loadSftAdapter(dir: string): SftAdapter {
  const fail = (reason: string) =>
    new SpielError("data", `Cannot load adapter "${dir}": ${reason}`);
  const configPath = join(dir, CONFIG_NAME);
  const isThere = isFolder(dir);
  if (!isThere || !isFile(configPath)) {
    const mistaken = mistakenForAdapter(dir);
    if (mistaken !== undefined) throw new SpielError("data", `Adapter "${dir}" ${mistaken}`);
    if (isFile(dir)) throw fail("it is a file, expected a folder");
    throw fail(isThere ? `it has no ${CONFIG_NAME}` : "no such folder");
  }
  const config = parseSftConfig(readJsonObject(configPath), configPath);
  const weightsPath = adapterWeightsPath(dir);
  if (!isFile(weightsPath)) {
    throw fail(
      isFile(join(dir, PICKLE_NAME))
        ? `${PICKLE_NAME} is a Python pickle, which can run code when it is loaded and is never ` +
          "read; save the adapter again with safe_serialization=True"
        : `it has no ${WEIGHTS_NAME}`,
    );
  }
  using file = SafetensorsFile.open(weightsPath);
  const modules = new Map(
    moduleNames(file).map((name) => [name, readModule(file, name, config)] as const),
  );
  if ([...modules.values()].every(({ values }) => values.length === 0)) {
    throw fail(`${WEIGHTS_NAME} has no deltas`);
  }
  const missing = Object.keys(config.num_deltas ?? {}).find((name) => !modules.has(name));
  if (missing !== undefined) {
    throw fail(`num_deltas names "${missing}", but ${WEIGHTS_NAME} has no deltas of it`);
  }
  return { config, modules };
}

/** Deltas of one module to save, read when their turn comes. */
export interface SftModuleInput {
  count: number;
  /** Ascending, no two equal, in parts. Asked for twice. */
  indices(): AsyncIterable<Uint32Array<ArrayBuffer>>;
  values(): AsyncIterable<Float32Array<ArrayBuffer>>;
}

/** What is saved: the deltas and the part of the configuration that does not follow from them. */
export interface SftAdapterInput {
  config: SftConfigInput;
  modules: ReadonlyMap<string, SftModuleInput>;
}

/**
 * Saves an adapter folder, whole or not at all; one already there is replaced. Values are F32. Equal
 * adapters give equal bytes.
 *
 * @throws SpielError "numeric" when a value is not finite, "storage" when the disk fails.
 */
export async function saveSftAdapter(
  files: Files,
  dir: string,
  { config, modules }: SftAdapterInput,
): Promise<void> {
  const sorted = [...modules].sort(([a], [b]) => a < b ? -1 : 1);
  const numDeltas = Object.fromEntries(sorted.map(([name, { count }]) => [name, count]));
  const configText = encodeSftConfig(sftConfig(config, numDeltas));
  const tensors = new Map<string, SafetensorsTensor>();
  for (const [name, deltas] of sorted) {
    for (const [tensor, content] of await tensorsOf(name, deltas)) tensors.set(tensor, content);
  }
  const path = resolve(dir);
  try {
    await publishFolder(files, dirname(path), basename(path), [
      { name: CONFIG_NAME, content: () => new TextEncoder().encode(configText) },
      {
        name: WEIGHTS_NAME,
        content: () =>
          safetensorsContent(tensors, {
            metadata: { format: "pt" },
            inspect: (name, elements, first) => {
              const { dtype } = tensors.get(name)!;
              refuseNonFinite("numeric", `"${name}"`, dtype, elements, first);
            },
          }),
      },
    ]);
  } catch (error) {
    throw storageError(`Cannot save adapter "${dir}"`, error);
  }
}

function moduleNames(file: SafetensorsFile): string[] {
  const names = new Set<string>();
  for (const tensor of file.tensors.keys()) {
    const name = TENSOR_NAME.exec(tensor)?.[1];
    if (name === undefined) {
      throw new SpielError(
        "data",
        `${file.path}: tensor "${tensor}", expected only names such as ` +
          `"${tensorName("<module>", "values")}"`,
      );
    }
    names.add(name);
  }
  return [...names].sort();
}

function readModule(file: SafetensorsFile, name: string, config: SftConfig): SftModule {
  const [valuesName, indicesName] = [tensorName(name, "values"), tensorName(name, "indices")];
  const [values, indices] = [file.entry(valuesName), file.entry(indicesName)];
  const where = `${file.path}: "${name}"`;
  const flat = values.shape.length === 1 && indices.shape.length === 1;
  if (!flat || indices.shape[0] !== values.shape[0]) {
    throw new SpielError(
      "data",
      `${where}: values of shape [${values.shape}] and indices of shape [${indices.shape}], ` +
        "expected one dimension of equal length",
    );
  }
  const count = values.shape[0]!;
  const declared = config.num_deltas?.[name];
  if (config.num_deltas && declared !== count) {
    throw new SpielError(
      "data",
      `${where}: ${count} deltas, but num_deltas says ${declared ?? "nothing of it"}`,
    );
  }
  const deltas = {
    indices: decodeIndices(indices.dtype, file.read(indicesName), `${file.path}: "${indicesName}"`),
    values: decodeValues(values.dtype, file.read(valuesName), `${file.path}: "${valuesName}"`),
  };
  refuseNonFinite("data", where, "F32", deltas.values);
  return { ...sortDeltas(deltas, where), dtype: values.dtype as SftModule["dtype"] };
}

function refuseNonFinite(
  kind: "data" | "numeric",
  where: string,
  dtype: string,
  values: ArrayBufferView,
  first = 0,
): void {
  const index = indexOfNonFinite(dtype, values);
  if (index < 0) return;
  throw new SpielError(kind, `${where}: the value in slot ${first + index} is not finite`);
}

async function tensorsOf(
  name: string,
  { count, indices, values }: SftModuleInput,
): Promise<[string, SafetensorsTensor][]> {
  let last = 0;
  for await (const part of indices()) last = part.at(-1) ?? last;
  const dtype = indexDtype(last);
  const parts = dtype === "I32" ? indices : () => widenIndices(indices());
  const shape = [count];
  return [
    [tensorName(name, "values"), { dtype: "F32", shape, parts: values }],
    [tensorName(name, "indices"), { dtype, shape, parts }],
  ];
}

function tensorName(module: string, field: "values" | "indices"): string {
  return `base_model.model.${module}.sft_delta.${field}`;
}
