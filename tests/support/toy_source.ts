/** Where the fake engine's weights come from. */

import type { ModelSource, ModelTensor } from "../../src/model/source.ts";
import { TOY_CONFIG } from "./toy_run.ts";

/** A source with the fake engine's tensors. */
export function toySource(format: ModelTensor["format"], rows = 8): ModelSource {
  const tensor = (shape: number[]): ModelTensor => ({
    format,
    shape,
    byteLength: shape.reduce((product, size) => product * size, 4),
  });
  return {
    path: "toy",
    modelType: "llama",
    config: TOY_CONFIG,
    specialTokens: { bos: null, eos: [] },
    tensors: new Map([
      ["model.embed_tokens.weight", tensor([32, 8])],
      ["model.layers.0.self_attn.q_proj.weight", tensor([rows, 8])],
      ["model.layers.0.mlp.up_proj.weight", tensor([8, 8])],
    ]),
    read: (_, byteOffset, length) => new Uint8Array(length).fill(byteOffset >> 20),
    huggingFaceConfig: () => ({}),
    [Symbol.dispose]() {},
  };
}
