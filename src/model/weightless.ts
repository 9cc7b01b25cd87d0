/** Models whose weights are still to be made up: what a folder or a GGUF file says of a model besides its weights. */
import type { ModelConfig } from "../engine/protocol.gen.ts";
import { readSpecialTokenIds, type SpecialTokenIds } from "../data/special_tokens.ts";
import { SpielError } from "../errors.ts";
import { elementsIn } from "../io/shape.ts";
import { toHuggingFaceConfig } from "./architectures/mod.ts";
import { readGgufConfig } from "./gguf_model.ts";
import { type HuggingFaceConfig, readHuggingFaceConfig } from "./hf_config.ts";
import type { ModelSource } from "./source.ts";
import { expectedShapes, type ModelTensor } from "./tensors.ts";

/** Opens a folder with config.json; see `openWithoutWeights`. */
export function openFolderWithoutWeights(folder: string): ModelSource {
  return folderWithoutWeights(folder, readHuggingFaceConfig(`${folder}/config.json`), "f32");
}

/** Names of weights in any form, and of the lists of their files. */
const WEIGHTS = /\.(safetensors|bin|pt|pth|gguf)$|\.index\.json$/;

/** Whether a folder holds no weights at all, not even such as cannot be read. */
export function lacksWeights(folder: string): boolean {
  return ![...Deno.readDirSync(folder)].some(({ name }) => WEIGHTS.test(name));
}

/** What 16- and 32-bit weights are stored as, and the bytes of one. */
const BYTES = { f32: 4, f16: 2, bf16: 2 } as const;
type StoredFormat = keyof typeof BYTES;

/** Names of types in config.json. Without one, transformers saves f32. */
const STORED: Readonly<Record<string, StoredFormat>> = {
  float32: "f32",
  float16: "f16",
  bfloat16: "bf16",
};

/**
 * Opens a folder whose weights are yet to come, with matrices of the type that config.json says they have.
 *
 * @throws {SpielError} kind "data" when that type is none of a model's.
 */
export function openFolderToPlan(folder: string): { source: ModelSource; format: StoredFormat } {
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
  return { source: folderWithoutWeights(folder, config, format), format };
}

function folderWithoutWeights(
  folder: string,
  { architecture, config, json }: HuggingFaceConfig,
  format: StoredFormat,
): ModelSource {
  const { modelType, writtenAs } = architecture;
  const specialTokens = readSpecialTokenIds(folder);
  const written = writtenAs === undefined
    ? json
    : toHuggingFaceConfig(modelType, config, specialTokens);
  return withoutWeights(folder, { modelType, config, specialTokens }, written, format);
}

/** Opens a .gguf file, whatever its weights are stored as; see `openWithoutWeights`. */
export function openGgufWithoutWeights(path: string): ModelSource {
  const model = readGgufConfig(path);
  const { modelType, config, specialTokens } = model;
  return withoutWeights(path, model, toHuggingFaceConfig(modelType, config, specialTokens), "f32");
}

function withoutWeights(
  path: string,
  model: { modelType: string; config: ModelConfig; specialTokens: SpecialTokenIds },
  json: Record<string, unknown>,
  matrices: StoredFormat,
): ModelSource {
  const tensors = new Map<string, ModelTensor>();
  for (const [name, shape] of expectedShapes(model.config)) {
    const format = shape.length === 2 ? matrices : "f32";
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
