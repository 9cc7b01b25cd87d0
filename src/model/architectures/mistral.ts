/** Mistral 7B and its relatives: LLaMA with an optional sliding window. */
import { type Architecture, decoderFromHuggingFace } from "./decoder.ts";
import { llama } from "./llama.ts";

/** What transformers takes where config.json has no `sliding_window`; an explicit null means none. */
const DEFAULT_WINDOW = 4096;

export const mistral: Architecture = {
  modelType: "mistral",
  className: "MistralForCausalLM",
  fromHuggingFace(config) {
    config.only("attention_bias", false);
    // The default of transformers is 8, that of every other family all heads: too likely a mistake.
    config.size("num_key_value_heads");
    const decoder = decoderFromHuggingFace(config, {
      max_position_embeddings: 131_072,
      rms_norm_eps: 1e-6,
    });
    const isNone = config.isNull("sliding_window");
    return {
      ...decoder,
      sliding_window: isNone ? null : config.size("sliding_window", DEFAULT_WINDOW),
    };
  },
  // GGUF files of Mistral models name the llama architecture.
  gguf: llama.gguf,
};
