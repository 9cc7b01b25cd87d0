/** Opens a Hugging Face model folder: config.json and safetensors, single or sharded. */
import type { ModelConfig, WeightFormat } from "../engine/protocol.gen.ts";
import { readSpecialTokenIds, type SpecialTokenIds } from "../data/special_tokens.ts";
import { SpielError } from "../errors.ts";
import { readJsonObject } from "../io/random_access.ts";
import type { SafetensorsDtype } from "../io/safetensors.ts";
import { SafetensorsFolder } from "../io/safetensors_shards.ts";
import { architectureOf } from "./architectures/mod.ts";
import { ConfigFields } from "./config_fields.ts";
import type { ModelSource } from "./source.ts";
import { matchTensors, type ModelTensor } from "./tensors.ts";

const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

const FORMATS: Readonly<Partial<Record<SafetensorsDtype, WeightFormat>>> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
};

/** A model folder's configuration, without its weights. */
export interface HuggingFaceConfig extends Pick<ModelSource, "modelType" | "config"> {
  specialTokens: SpecialTokenIds;
  /** config.json as it is. */
  json: Record<string, unknown>;
}

/**
 * Reads config.json alone, as for a model that starts from random weights.
 *
 * @throws {SpielError} kind "data" naming the field, its value and what was expected.
 */
export function readHuggingFaceConfig(folder: string): HuggingFaceConfig {
  const path = `${folder}/config.json`;
  const json = readJsonObject(path, MAX_CONFIG_BYTES);
  const fields = ConfigFields.ofObject(path, json);
  const { modelType, fromHuggingFace } = architectureOf(json.model_type, path);
  refuseQuantised(fields);
  const config = fromHuggingFace(fields);
  return { modelType, config, specialTokens: readSpecialTokenIds(folder), json };
}

/** Opens the folder; see `openModelSource`. */
export function openHuggingFaceFolder(folder: string): ModelSource {
  const config = readHuggingFaceConfig(folder);
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
    this.specialTokens = source.specialTokens;
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

/** "gguf" only notes where the weights came from; every other method means that they are packed. */
function refuseQuantised(fields: ConfigFields): void {
  const quantisation = fields.object("quantization_config");
  if (quantisation !== null && quantisation.value("quant_method") !== "gguf") {
    throw quantisation.unsupported("quant_method", "unquantised safetensors, or a .gguf file");
  }
}
