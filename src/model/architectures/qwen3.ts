/** Qwen3 (dense): LLaMA with an RMSNorm on every query and key head. */
import { type Architecture, decoderFromGguf, decoderFromHuggingFace } from "./decoder.ts";
import { alikeInGguf, windowKeys, withQwenWindows } from "./layers.ts";

export const qwen3: Architecture = {
  modelType: "qwen3",
  className: "Qwen3ForCausalLM",
  fromHuggingFace(config) {
    // True here also adds a bias to o_proj, which the engine does not have.
    config.only("attention_bias", false);
    config.size("num_key_value_heads");
    const decoder = decoderFromHuggingFace(config, {
      max_position_embeddings: 32_768,
      rms_norm_eps: 1e-6,
      head_dim: 128,
    });
    return withQwenWindows(config, { ...decoder, qk_norm: true });
  },
  toHuggingFace: (config) => config.layers === undefined ? {} : windowKeys(config),
  gguf: {
    name: "qwen3",
    interleavesHeads: false,
    read: (file) => ({ ...decoderFromGguf(file, "qwen3"), qk_norm: true }),
    metadata: alikeInGguf,
  },
};
