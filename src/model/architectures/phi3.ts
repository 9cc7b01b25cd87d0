/** Phi-3: LLaMA or Mistral whose q, k and v, and whose gate and up projections are stored as one matrix each. */
import { fusedProjections } from "../stacks.ts";
import { type Architecture, decoderFromGguf, decoderFromHuggingFace } from "./decoder.ts";

export const phi3: Architecture = {
  modelType: "phi3",
  className: "Phi3ForCausalLM",
  // Parts that are trained, or saved in other numbers, are saved apart; with them it is one of these.
  writtenAs: "llama",
  fromHuggingFace(config) {
    const decoder = decoderFromHuggingFace(config, {
      max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
    });
    const window = config.has("sliding_window") ? config.size("sliding_window") : null;
    return { ...decoder, sliding_window: window };
  },
  stacks: (config) => fusedProjections(config, "self_attn.qkv_proj", "mlp.gate_up_proj"),
  gguf: {
    name: "phi3",
    interleavesHeads: false,
    read: (file) => decoderFromGguf(file, "phi3"),
    // Files call the fused gate and up projection by the name of the latter.
    stacks: (config) => fusedProjections(config, "self_attn.qkv_proj", "mlp.up_proj"),
  },
};
