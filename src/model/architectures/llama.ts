/** LLaMA 1 to 3.x and the many models that use its `model_type`. */
import { type Architecture, decoderFromGguf, decoderFromHuggingFace } from "./decoder.ts";

export const llama: Architecture = {
  modelType: "llama",
  className: "LlamaForCausalLM",
  fromHuggingFace(config) {
    // True here also adds a bias to o_proj, which the engine does not have.
    config.only("attention_bias", false);
    return decoderFromHuggingFace(config, { max_position_embeddings: 2048, rms_norm_eps: 1e-6 });
  },
  gguf: {
    name: "llama",
    interleavesHeads: true,
    read: (file) => decoderFromGguf(file, "llama"),
  },
};
