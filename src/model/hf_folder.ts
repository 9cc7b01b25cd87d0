/** Opens a Hugging Face model folder: config.json and safetensors, single or sharded. */
import { basename } from "node:path";
import type { ModelConfig, WeightFormat } from "../engine/protocol.gen.ts";
import { readSpecialTokenIds, type SpecialTokenIds } from "../data/special_tokens.ts";
import { SpielError } from "../errors.ts";
import type { SafetensorsDtype } from "../io/safetensors.ts";
import { SafetensorsFolder } from "../io/safetensors_shards.ts";
import { toHuggingFaceConfig } from "./architectures/mod.ts";
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

  constructor(readonly path: string, source: HuggingFaceConfig, weights: SafetensorsFolder) {
    this.modelType = source.architecture.modelType;
    this.config = source.config;
    this.specialTokens = readSpecialTokenIds(path);
    this.#source = source;
    this.#weights = weights;
    const stacks = source.architecture.stacks?.(source.config) ?? [];
    const quantised = bitsandbytesTensors(weights);
    this.#quantised = quantised.matrices;
    const { tensors, place } = unstack(foundTensors(weights, quantised), stacks);
    this.#place = place;
    const fileOf = (name: string) => weights.fileOf(place(name).stored)?.path;
    this.tensors = matchTensors(weights.path, source.config, tensors, fileOf);
  }

  read(name: string, byteOffset: number, length: number): Uint8Array<ArrayBuffer> {
    const { stored, byteOffset: start } = this.#place(name);
    const tensor = this.tensors.get(name);
    const file = tensor === undefined ? undefined : this.#weights.fileOf(stored);
    if (tensor === undefined || file === undefined) {
      throw new SpielError("data", `${this.path} has no tensor "${name}"`);
    }
    checkRange(this.path, name, tensor, byteOffset, length);
    return this.#quantised.get(stored)?.read(start + byteOffset, length) ??
      file.readRange(stored, start + byteOffset, length);
  }

  huggingFaceConfig(): Record<string, unknown> {
    const { architecture, config, json } = this.#source;
    return architecture.writtenAs === undefined
      ? structuredClone(json)
      : toHuggingFaceConfig(this.modelType, config, this.specialTokens);
  }

  shardOf(name: string): string | undefined {
    const file = this.#weights.fileOf(name);
    return file === undefined ? undefined : basename(file.path);
  }

  [Symbol.dispose](): void {
    this.#weights[Symbol.dispose]();
  }
}

function foundTensors(
  weights: SafetensorsFolder,
  { matrices, parts }: BitsandbytesTensors,
): Map<string, ModelTensor | { unusable: string }> {
  const found = new Map<string, ModelTensor | { unusable: string }>();
  for (const name of weights.names()) {
    if (parts.has(name)) continue;
    const matrix = matrices.get(name);
    if (matrix !== undefined) {
      found.set(name, matrix.tensor);
      continue;
    }
    const { dtype, shape, byteLength } = weights.entry(name)!;
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
