/** Qwen2 and Qwen2.5: LLaMA with biases on q, k and v. */
import { type Architecture, decoderFromGguf, decoderFromHuggingFace } from "./decoder.ts";
import { alikeInGguf, windowKeys, withQwenWindows } from "./layers.ts";

export const qwen2: Architecture = {
  modelType: "qwen2",
  className: "Qwen2ForCausalLM",
  fromHuggingFace(config) {
    config.size("num_key_value_heads");
    const decoder = decoderFromHuggingFace(config, {
      max_position_embeddings: 32_768,
      rms_norm_eps: 1e-6,
    });
    return withQwenWindows(config, { ...decoder, attention_bias: true });
  },
  toHuggingFace: (config) => config.layers === undefined ? {} : windowKeys(config),
  gguf: {
    name: "qwen2",
    interleavesHeads: false,
    read: (file) => ({ ...decoderFromGguf(file, "qwen2"), attention_bias: true }),
    metadata: alikeInGguf,
  },
};
