/** Opens a Hugging Face model folder: config.json and safetensors, single or sharded. */
import { basename } from "node:path";
import type { ModelConfig, WeightFormat } from "../engine/protocol.gen.ts";
import { readSpecialTokenIds, type SpecialTokenIds } from "../data/special_tokens.ts";
import { SpielError } from "../errors.ts";
import type { SafetensorsDtype } from "../io/safetensors.ts";
import { SafetensorsFolder } from "../io/safetensors_shards.ts";
import { type Architecture, toHuggingFaceConfig } from "./architectures/mod.ts";
import { type BitsandbytesTensors, bitsandbytesTensors } from "./bitsandbytes.ts";
import { type HuggingFaceConfig, readHuggingFaceConfig } from "./hf_config.ts";
import type { ModelSource } from "./source.ts";
import { checkRange, unstack, type Unstacked } from "./stacks.ts";
import { matchTensors, type ModelTensor } from "./tensors.ts";

const FORMATS: Readonly<Partial<Record<SafetensorsDtype, WeightFormat>>> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
};

/** Opens the folder; see `openModelSource`. */
export function openHuggingFaceFolder(folder: string): ModelSource {
  const config = readHuggingFaceConfig(`${folder}/config.json`);
  const weights = SafetensorsFolder.open(folder);
  try {
    return new HuggingFaceFolder(folder, config, weights);
  } catch (error) {
    weights[Symbol.dispose]();
    throw error;
  }
}

class HuggingFaceFolder implements ModelSource {
  readonly modelType: string;
  readonly config: ModelConfig;
  readonly specialTokens: SpecialTokenIds;
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  readonly #source: HuggingFaceConfig;
  readonly #weights: SafetensorsFolder;
  readonly #quantised: BitsandbytesTensors["matrices"];
  readonly #place: Unstacked["place"];
  /** Names in the files by names here. */
  readonly #storedNames: ReadonlyMap<string, string>;

  constructor(readonly path: string, source: HuggingFaceConfig, weights: SafetensorsFolder) {
    this.modelType = source.architecture.modelType;
    this.config = source.config;
    this.specialTokens = readSpecialTokenIds(path);
    this.#source = source;
    this.#weights = weights;
    const { architecture } = source;
    const quantised = bitsandbytesTensors(weights);
    this.#quantised = quantised.matrices;
    this.#storedNames = nameTable(weights, quantised, architecture);
    const found = foundTensors(weights, quantised, this.#storedNames);
    const { tensors, place } = unstack(found, architecture.stacks?.(source.config) ?? []);
    this.#place = place;
    const fileOf = (name: string) => {
      const stored = this.#storedNames.get(place(name).stored);
      return stored === undefined ? undefined : weights.fileOf(stored)?.path;
    };
    this.tensors = matchTensors(weights.path, source.config, tensors, fileOf);
  }

  read(
    name: string,
    byteOffset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> {
    const { stored: whole, byteOffset: start } = this.#place(name);
    const stored = this.#storedNames.get(whole);
    const tensor = this.tensors.get(name);
    const file = stored === undefined ? undefined : this.#weights.fileOf(stored);
    if (tensor === undefined || stored === undefined || file === undefined) {
      throw new SpielError("data", `${this.path} has no tensor "${name}"`);
    }
    checkRange(this.path, name, tensor, byteOffset, length);
    return this.#quantised.get(stored)?.read(start + byteOffset, length) ??
      file.readRange(stored, start + byteOffset, length, into);
  }

  huggingFaceConfig(): Record<string, unknown> {
    const { architecture, config, json } = this.#source;
    return architecture.writtenAs === undefined
      ? structuredClone(json)
      : toHuggingFaceConfig(this.modelType, config, this.specialTokens);
  }

  shardOf(name: string): string | undefined {
    const stored = this.#storedNames.get(name) ?? name;
    const file = this.#weights.fileOf(stored);
    return file === undefined ? undefined : basename(file.path);
  }

  [Symbol.dispose](): void {
    this.#weights[Symbol.dispose]();
  }
}

function nameTable(
  weights: SafetensorsFolder,
  { parts }: BitsandbytesTensors,
  architecture: Architecture,
): Map<string, string> {
  const names = new Map<string, string>();
  for (const stored of weights.names()) {
    if (parts.has(stored)) continue;
    const name = architecture.tensorName === undefined ? stored : architecture.tensorName(stored);
    if (name !== null) names.set(name, stored);
  }
  return names;
}

function foundTensors(
  weights: SafetensorsFolder,
  { matrices }: BitsandbytesTensors,
  storedNames: ReadonlyMap<string, string>,
): Map<string, ModelTensor | { unusable: string }> {
  const found = new Map<string, ModelTensor | { unusable: string }>();
  for (const [name, stored] of storedNames) {
    const matrix = matrices.get(stored);
    if (matrix !== undefined) {
      found.set(name, matrix.tensor);
      continue;
    }
    const { dtype, shape, byteLength } = weights.entry(stored)!;
    const format = FORMATS[dtype];
    found.set(
      name,
      format === undefined
        ? { unusable: `has dtype ${dtype}; expected one of ${Object.keys(FORMATS).join(", ")}` }
        : { format, shape, byteLength },
    );
  }
  return found;
}
