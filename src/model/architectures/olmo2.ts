/** OLMo 2: LLaMA with its norms after attention and feed-forward layer, and norms of q and k over all heads at once. */
import type { ModelConfig } from "../../engine/protocol.gen.ts";
import {
  type Architecture,
  decoderFromGguf,
  decoderFromHuggingFace,
  ggufFields,
} from "./decoder.ts";

const NORMS = {
  qk_norm: true,
  qk_norm_span: "row",
  norm_placement: "post",
} as const satisfies Partial<ModelConfig>;

export const olmo2: Architecture = {
  modelType: "olmo2",
  className: "Olmo2ForCausalLM",
  fromHuggingFace(config) {
    // True here also adds a bias to o_proj, which the engine does not have.
    config.only("attention_bias", false);
    const decoder = decoderFromHuggingFace(config, {
      max_position_embeddings: 2048,
      rms_norm_eps: 1e-5,
    });
    return { ...decoder, ...NORMS };
  },
  gguf: {
    name: "olmo2",
    interleavesHeads: false,
    // Files of OLMo 3 name this architecture too; their pattern of windows is another.
    read(file) {
      const decoder = decoderFromGguf(file, "olmo2");
      if (decoder.sliding_window !== null) {
        throw ggufFields(file, "olmo2").unsupported("attention.sliding_window", "none (OLMo 2)");
      }
      return { ...decoder, ...NORMS };
    },
    names: {
      post_attention_norm: "post_attention_layernorm",
      post_ffw_norm: "post_feedforward_layernorm",
    },
  },
};
