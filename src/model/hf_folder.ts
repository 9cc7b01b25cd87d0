/** Opens a Hugging Face model folder: config.json and safetensors, single or sharded. */
import type { ModelConfig, WeightFormat } from "../engine/protocol.gen.ts";
import { readSpecialTokenIds, type SpecialTokenIds } from "../data/special_tokens.ts";
import { SpielError } from "../errors.ts";
import type { SafetensorsDtype } from "../io/safetensors.ts";
import { SafetensorsFolder } from "../io/safetensors_shards.ts";
import { type HuggingFaceConfig, readHuggingFaceConfig } from "./hf_config.ts";
import type { ModelSource } from "./source.ts";
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
  readonly #json: Record<string, unknown>;
  readonly #weights: SafetensorsFolder;

  constructor(readonly path: string, source: HuggingFaceConfig, weights: SafetensorsFolder) {
    this.modelType = source.modelType;
    this.config = source.config;
    this.specialTokens = readSpecialTokenIds(path);
    this.#json = source.json;
    this.#weights = weights;
    this.tensors = matchTensors(path, source.config, foundTensors(weights));
  }

  read(name: string, byteOffset: number, length: number): Uint8Array<ArrayBuffer> {
    const file = this.tensors.has(name) ? this.#weights.fileOf(name) : undefined;
    if (file === undefined) throw new SpielError("data", `${this.path} has no tensor "${name}"`);
    return file.readRange(name, byteOffset, length);
  }

  huggingFaceConfig(): Record<string, unknown> {
    return structuredClone(this.#json);
  }

  [Symbol.dispose](): void {
    this.#weights[Symbol.dispose]();
  }
}

function foundTensors(weights: SafetensorsFolder): Map<string, ModelTensor | { unusable: string }> {
  const found = new Map<string, ModelTensor | { unusable: string }>();
  for (const name of weights.names()) {
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
