/** The reference's SFT layout: per module, values and flat indices in any order. */

import { basename } from "node:path";
import { SpielError } from "../../errors.ts";
import type { Files } from "../../io/files.ts";
import type { SafetensorsTensor } from "../../io/safetensors_writer.ts";
import type { TensorFile } from "../../io/tensor_file.ts";
import type { Adapter, StoredDeltas } from "../adapter.ts";
import { indexDtype, type SparseDeltas, widenIndices } from "../deltas.ts";
import { saveAdapter } from "../save.ts";
import { configError } from "./config.ts";
import { readFlatDeltas } from "./flat_deltas.ts";
import type { AdapterFiles, AdapterLayout, EncodedAdapter, SparseAdapter } from "./layout.ts";
import { parseSftConfig, type SftConfig, sftConfig, type SftConfigInput } from "./sft_config.ts";
import { modulesOf, tensorName } from "./tensors.ts";

const VALUES = "sft_delta.values";
const INDICES = "sft_delta.indices";

/** An adapter of this layout. */
export interface SftAdapter extends Adapter {
  readonly config: SftConfig;
}

/** The layout. */
export const SFT = {
  peftType: "SFT",

  read({ json, configPath, tensors }: AdapterFiles): SftAdapter {
    const config = parseSftConfig(json, configPath);
    const names = [...modulesOf(tensors, [VALUES, INDICES]).keys()];
    const modules = new Map(names.map((name) => [name, readModule(tensors, name, config)]));
    const missing = Object.keys(config.num_deltas ?? {}).find((name) => !modules.has(name));
    if (missing !== undefined) {
      const reason = `num_deltas names "${missing}", but ${
        basename(tensors.path)
      } has no deltas of it`;
      throw configError(configPath, reason);
    }
    const facts = {
      density: config.density ?? null,
      selection_algorithm: config.selection_algorithm ?? null,
      reselection_steps: config.reselection_steps ?? null,
      selection_accumulation_steps: config.selection_accumulation_steps ?? null,
      initial_reselection_rate: config.initial_reselection_rate ?? null,
      reselection_rate_policy: config.reselection_rate_policy ?? null,
    };
    return { layout: "SFT", config, facts, modules, changes: new Map() };
  },

  encode({ config, modules }: SparseAdapter): EncodedAdapter {
    const { base_model_name_or_path, target_modules, spiel } = config;
    const input = {
      base_model_name_or_path,
      density: null,
      num_tunable_weights: [...modules.values()].reduce(
        (sum, { values }) => sum + values.length,
        0,
      ),
      target_modules: typeof target_modules === "string"
        ? target_modules
        : target_modules && [...target_modules],
      ...(spiel && { spiel }),
    };
    const tensors = new Map<string, SafetensorsTensor>();
    for (const [name, { indices, values }] of modules) {
      const one = { count: values.length, last: indices.at(-1) ?? 0 };
      const parts = { indices: () => only(indices), values: () => only(values) };
      for (const [tensor, content] of tensorsOf(name, one, parts)) tensors.set(tensor, content);
    }
    return { config: sftConfig(input, countsOf(modules)), tensors, padding: 0 };
  },
} satisfies AdapterLayout;

/** Deltas of one module to save, read when their turn comes. */
export interface SftModuleInput extends DeltaParts {
  count: number;
}

interface DeltaParts {
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
 * Saves an adapter folder whose deltas lie elsewhere, as `saveAdapter` does. Values are F32.
 *
 * @throws SpielError "numeric" when a value is not finite, "storage" when the disk fails.
 */
export async function saveSftAdapter(
  files: Files,
  folder: string,
  { config, modules }: SftAdapterInput,
): Promise<void> {
  const tensors = new Map<string, SafetensorsTensor>();
  for (const [name, parts] of modules) {
    let last = 0;
    for await (const part of parts.indices()) last = part.at(-1) ?? last;
    const one = { count: parts.count, last };
    for (const [tensor, content] of tensorsOf(name, one, parts)) tensors.set(tensor, content);
  }
  const counts = Object.fromEntries([...modules].map(([name, { count }]) => [name, count]));
  await saveAdapter(files, folder, { config: sftConfig(config, counts), tensors });
}

function readModule(file: TensorFile, name: string, config: SftConfig): StoredDeltas {
  const deltas = readFlatDeltas(file, tensorName(name, VALUES), tensorName(name, INDICES), name);
  const count = deltas.values.length;
  const declared = config.num_deltas?.[name];
  if (config.num_deltas === null || declared === count) return deltas;
  throw new SpielError(
    "data",
    `${file.path}: "${name}": ${count} deltas, but num_deltas says ${declared ?? "nothing of it"}`,
  );
}

function tensorsOf(
  name: string,
  { count, last }: { readonly count: number; readonly last: number },
  { indices, values }: DeltaParts,
): [string, SafetensorsTensor][] {
  const dtype = indexDtype(last);
  const parts = dtype === "I32" ? indices : () => widenIndices(indices());
  const shape = [count];
  return [
    [tensorName(name, VALUES), { dtype: "F32", shape, parts: values }],
    [tensorName(name, INDICES), { dtype, shape, parts }],
  ];
}

function countsOf(modules: ReadonlyMap<string, SparseDeltas>): Record<string, number> {
  return Object.fromEntries([...modules].map(([name, { values }]) => [name, values.length]));
}

async function* only<A extends Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>>(array: A) {
  yield array;
}
