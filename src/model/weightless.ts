/** Models whose weights are still to be made up: what a folder or a GGUF file says of a model besides its weights. */
import type { ModelConfig } from "../engine/protocol.gen.ts";
import { readSpecialTokenIds, type SpecialTokenIds } from "../data/special_tokens.ts";
import { SpielError } from "../errors.ts";
import { elementsIn } from "../io/shape.ts";
import { toHuggingFaceConfig } from "./architectures/mod.ts";
import { readGgufConfig } from "./gguf_model.ts";
import { readHuggingFaceConfig } from "./hf_config.ts";
import type { ModelSource } from "./source.ts";
import { expectedShapes, type ModelTensor } from "./tensors.ts";

/** Opens a folder with config.json; see `openWithoutWeights`. */
export function openFolderWithoutWeights(folder: string): ModelSource {
  const { architecture, config, json } = readHuggingFaceConfig(`${folder}/config.json`);
  const { modelType, writtenAs } = architecture;
  const specialTokens = readSpecialTokenIds(folder);
  const written = writtenAs === undefined
    ? json
    : toHuggingFaceConfig(modelType, config, specialTokens);
  return withoutWeights(folder, { modelType, config, specialTokens }, written);
}

/** Opens a .gguf file, whatever its weights are stored as; see `openWithoutWeights`. */
export function openGgufWithoutWeights(path: string): ModelSource {
  const model = readGgufConfig(path);
  const { modelType, config, specialTokens } = model;
  return withoutWeights(path, model, toHuggingFaceConfig(modelType, config, specialTokens));
}

function withoutWeights(
  path: string,
  model: { modelType: string; config: ModelConfig; specialTokens: SpecialTokenIds },
  json: Record<string, unknown>,
): ModelSource {
  const tensors = new Map<string, ModelTensor>();
  for (const [name, shape] of expectedShapes(model.config)) {
    const byteLength = 4 * elementsIn(shape);
    tensors.set(name, { format: "f32", shape, byteLength });
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
