/** Models whose weights are still to be made up: what a folder or a GGUF file says of a model besides its weights. */
import type { ModelConfig } from "../engine/protocol.gen.ts";
import { readSpecialTokenIds, type SpecialTokenIds } from "../data/special_tokens.ts";
import { SpielError } from "../errors.ts";
import { isObject, namesIn } from "../io/random_access.ts";
import { elementsIn } from "../io/shape.ts";
import { toHuggingFaceConfig } from "./architectures/mod.ts";
import { readGgufConfig } from "./gguf_model.ts";
import { type HuggingFaceConfig, readHuggingFaceConfig } from "./hf_config.ts";
import type { ModelSource } from "./source.ts";
import { expectedShapes, type ModelTensor } from "./tensors.ts";

/** Opens a folder with config.json; see `openWithoutWeights`. */
export function openFolderWithoutWeights(folder: string): ModelSource {
  return folderWithoutWeights(folder, readHuggingFaceConfig(`${folder}/config.json`), () => "f32");
}

/** Names of weights in any form, and of the lists of their files. */
const WEIGHTS = /\.(safetensors|bin|pt|pth|gguf)$|\.index\.json$/;

/** Whether a folder holds no weights at all, not even such as cannot be read. */
export function lacksWeights(folder: string): boolean {
  return !namesIn(folder).some((name) => WEIGHTS.test(name));
}

/** What weights are stored as, and the bytes of one; those of NF4 with the magnitude that 64 share. */
const BYTES = { f32: 4, f16: 2, bf16: 2, nf4: 36 / 64 } as const;
type StoredFormat = keyof typeof BYTES;

/** Names of types in config.json. Without one, transformers saves f32. */
const STORED: Readonly<Record<string, StoredFormat>> = {
  float32: "f32",
  float16: "f16",
  bfloat16: "bf16",
};

/**
 * Opens a folder whose weights are yet to come, with matrices of the types that config.json says they have.
 *
 * @throws {SpielError} kind "data" when that type is none of a model's.
 */
export function openFolderToPlan(folder: string): { source: ModelSource; formats: string } {
  const path = `${folder}/config.json`;
  const config = readHuggingFaceConfig(path);
  const dtype = config.json.dtype ?? config.json.torch_dtype ?? "float32";
  const format = typeof dtype === "string" ? STORED[dtype] : undefined;
  if (format === undefined) {
    const names = Object.keys(STORED).join(", ");
    throw new SpielError(
      "data",
      `${path}: torch_dtype is ${JSON.stringify(dtype)}; expected one of ${names}`,
    );
  }
  const isQuantised = quantisedBy(config.json.quantization_config);
  const formatOf = (name: string) => isQuantised(name) ? "nf4" : format;
  const source = folderWithoutWeights(folder, config, formatOf);
  const isAny = [...source.tensors.values()].some((tensor) => tensor.format === "nf4");
  return { source, formats: isAny ? `nf4 and ${format}` : format };
}

/** Which matrices bitsandbytes quantises: those of the layers, but for modules that the configuration names. */
function quantisedBy(quantisation: unknown): (name: string) => boolean {
  if (!isObject(quantisation) || quantisation.quant_method !== "bitsandbytes") return () => false;
  const skipped = quantisation.llm_int8_skip_modules;
  const names = Array.isArray(skipped) ? skipped.map(String) : [];
  return (name) => {
    const module = name.replace(/\.weight$/, "");
    return name.startsWith("model.layers.") &&
      !names.some((skip) => module.startsWith(`${skip}.`) || module.endsWith(skip));
  };
}

function folderWithoutWeights(
  folder: string,
  { architecture, config, json }: HuggingFaceConfig,
  formatOf: (name: string) => StoredFormat,
): ModelSource {
  const { modelType, writtenAs } = architecture;
  const specialTokens = readSpecialTokenIds(folder);
  const written = writtenAs === undefined
    ? json
    : toHuggingFaceConfig(modelType, config, specialTokens);
  return withoutWeights(folder, { modelType, config, specialTokens }, written, formatOf);
}

/** Opens a .gguf file, whatever its weights are stored as; see `openWithoutWeights`. */
export function openGgufWithoutWeights(path: string): ModelSource {
  const model = readGgufConfig(path);
  const { modelType, config, specialTokens } = model;
  const written = toHuggingFaceConfig(modelType, config, specialTokens);
  return withoutWeights(path, model, written, () => "f32");
}

function withoutWeights(
  path: string,
  model: { modelType: string; config: ModelConfig; specialTokens: SpecialTokenIds },
  json: Record<string, unknown>,
  formatOf: (name: string) => StoredFormat,
): ModelSource {
  const tensors = new Map<string, ModelTensor>();
  for (const [name, shape] of expectedShapes(model.config)) {
    const format = shape.length === 2 ? formatOf(name) : "f32";
    tensors.set(name, { format, shape, byteLength: BYTES[format] * elementsIn(shape) });
  }
  return {
    path,
    ...model,
    tensors,
    read: (name) => {
      throw new SpielError("internal", `Cannot read "${name}": ${path} was opened without weights`);
    },
    huggingFaceConfig: () => structuredClone(json),
    [Symbol.dispose]: () => {},
  };
}
